/**
 * Which sequence each row of a generation writes, and what it has written: follows the device's own decisions
 * (`shaders/decode/refill.wgsl`) from the tokens, which arrive some steps late. Pure: runs nothing on the device.
 */
import { InputError } from '../io/errors.ts';
import { INVALID_TOKEN } from '../ops/sample.ts';
import type { ChosenTokens } from './decoding.ts';

/** Log-probabilities in nats of a sequence's sampled tokens, including the end token. */
export interface SampledLogprobs {
  /**
   * Under the distribution that each was sampled from: after penalty, temperature, top-k, top-p and min-p. 0 for greedy
   * decoding.
   */
  sampling: number[];
  /** Under the model: the log-softmax of its logits, at temperature 1. */
  model: number[];
}

/** New tokens of one sequence since the last update. The sequences of prompt p have indices from p · numReturnSequences. */
export interface GenerationUpdate {
  sequence: number;
  /** New tokens without the end token. */
  ids: number[];
  /** Present once, with the last tokens. */
  finished?: 'eos' | 'length';
  /** The end token, with `finished: 'eos'`. */
  endId?: number;
  /** Present with `returnLogprobs`. */
  logprobs?: SampledLogprobs;
}

/** A row's sequence. */
export interface Seat {
  /** The column of the row's tokens. */
  readonly slot: number;
  sequence: number;
  /** The step that chose its first token. */
  start: number;
  hasEnded: boolean;
}

export interface ScheduleSettings {
  maxNewTokens: number;
  eosTokenIds: readonly number[];
}

export class RowSchedule {
  /** In the order of the device's rows, as of the last step whose tokens have arrived. */
  seats: Seat[];
  /** The next sequence without a row. */
  next: number;
  /** The first step whose tokens have not arrived. */
  private step = 0;
  /** For each step from that one: how many sequences could have a row; 0 if no row was refilled before it. */
  private ready: number[] = [];
  private readonly eos: ReadonlySet<number>;

  constructor(
    readonly rows: number,
    readonly total: number,
    private readonly settings: ScheduleSettings,
  ) {
    this.seats = Array.from({ length: rows }, (_, i) => ({
      slot: i,
      sequence: i,
      start: 0,
      hasEnded: false,
    }));
    this.next = rows;
    this.eos = new Set(settings.eosTokenIds);
  }

  /** Whether some sequence may still wait for a row. */
  get isWaiting(): boolean {
    return this.next < this.total;
  }

  /** The rows with a sequence that has not ended. */
  get open(): Seat[] {
    return this.seats.filter(({ hasEnded }) => !hasEnded);
  }

  /** The number of steps after which no row has anything to do; infinite as long as a sequence may wait. */
  get lastStep(): number {
    if (this.isWaiting) return Number.POSITIVE_INFINITY;
    return this.settings.maxNewTokens + Math.max(...this.open.map(({ start }) => start));
  }

  /** Before a step is recorded: the number of sequences that may have a row, if rows are refilled before the step. */
  record(ready = 0): void {
    this.ready.push(ready);
  }

  /** Drops all other rows. Only if no sequence waits. */
  keep(seats: Seat[]): void {
    this.seats = seats;
  }

  /** Interprets the tokens of the next steps, and returns what each sequence got. */
  follow({ tokens, logprobs }: ChosenTokens): GenerationUpdate[] {
    const updates = new Map<number, GenerationUpdate>();
    for (let from = 0; from < tokens.length; from += this.rows) {
      this.refill(this.ready.shift() ?? 0);
      for (const seat of this.seats) {
        if (seat.hasEnded) continue;
        const update = updates.get(seat.sequence) ?? { sequence: seat.sequence, ids: [] };
        updates.set(seat.sequence, update);
        const at = from + seat.slot;
        this.add(update, seat, tokens[at]);
        if (!logprobs) continue;
        update.logprobs ??= { sampling: [], model: [] };
        update.logprobs.sampling.push(logprobs.sampling[at]);
        update.logprobs.model.push(logprobs.model[at]);
      }
      this.step++;
    }
    return [...updates.values()].sort((a, b) => a.sequence - b.sequence);
  }

  /** What the device did before a step. */
  private refill(ready: number): void {
    for (const seat of this.seats) {
      if (!seat.hasEnded || this.next >= ready) continue;
      Object.assign(seat, { sequence: this.next++, start: this.step, hasEnded: false });
    }
  }

  private add(update: GenerationUpdate, seat: Seat, token: number): void {
    const length = this.step - seat.start + 1;
    if (token === INVALID_TOKEN) {
      throw new InputError(
        `sequence ${seat.sequence + 1}, new token ${length}`,
        "the model's logits are not numbers",
        'Look for NaN in the weights and in the adapters, or lower the learning rate that trained them',
      );
    }
    if (this.eos.has(token)) {
      update.finished = 'eos';
      update.endId = token;
    } else update.ids.push(token);
    if (length === this.settings.maxNewTokens) update.finished ??= 'length';
    seat.hasEnded = update.finished !== undefined;
  }
}
