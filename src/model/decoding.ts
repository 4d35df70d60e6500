/**
 * Generates sequences on the device: prompts in packed passes, and one token for every row per step. The rows of finished
 * sequences go to waiting ones; without any, finished sequences repeat their last token until their rows are dropped. Steps
 * are recorded without waiting for the previous one, and tokens are read late. generation.ts decides when to compute prompts,
 * when to read and when to stop.
 */

import { packSequences } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind } from '../gpu/pool.ts';
import { type Rehearsal, rehearse } from '../gpu/rehearsal.ts';
import { chosenLogprobs } from '../ops/chosen-logprob.ts';
import { gather } from '../ops/gather.ts';
import { penalize, type Repetition } from '../ops/penalize.ts';
import { padded } from '../ops/product-size.ts';
import { PROMPT_COLUMNS, refill, type Waiting } from '../ops/refill.ts';
import {
  INVALID_TOKEN,
  type LiveSequences,
  PLACE_COLUMNS,
  packPlaces,
  type SamplingSettings,
  sample,
} from '../ops/sample.ts';
import { softCap } from '../ops/soft-cap.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { CausalLM } from './causal-lm.ts';
import type { DecodingPass, PassOfRows, Upload } from './decoding-pass.ts';
import { decodingPass } from './decoding-passes.ts';
import { KvCache } from './kv-cache.ts';
import type { Seat } from './row-schedule.ts';
import { readRing, wordsOf } from './token-ring.ts';

/** Maximum bytes of logits at once. */
const LOGITS_BYTES = 64 * 2 ** 20;

/** How many sequences are written at a time, of how many. */
export interface DecodingSize {
  /** Sequences at a time. */
  rows: number;
  prompts: number;
  /** Sequences per prompt, which is computed once. */
  copies: number;
  /** Tokens of the longest prompt. */
  longestPrompt: number;
  /** Rows of the cache for prompts. */
  promptRows: number;
}

export interface DecodingSettings extends SamplingSettings {
  maxNewTokens: number;
  eosTokenIds: readonly number[];
  /** 1 disables it. */
  repetitionPenalty: number;
  /** Whether the tokens' log-probabilities are needed. */
  returnLogprobs: boolean;
}

/** The tokens chosen in some steps, (steps, slots) each. */
export interface ChosenTokens {
  tokens: Uint32Array;
  /** If requested: under the sampling distribution, and under the model at temperature 1. */
  logprobs?: { sampling: Float32Array; model: Float32Array };
}

/** A row with its sequence. */
type Filled = Pick<Seat, 'slot' | 'sequence' | 'start'>;

/** A prompt in the cache. */
interface CachedPrompt {
  from: number;
  end: number;
  lastToken: number;
}

export class Decoding {
  /** Number of steps so far. */
  step = 0;
  private readonly cache: KvCache;
  private readonly live: LiveSequences;
  /** Undefined if every sequence has a row from the start. */
  private readonly waiting: Waiting | undefined;
  /** Undefined without a penalty. */
  private readonly repetition: Repetition | undefined;
  private readonly owned = new Set<Tensor>();
  private readonly cached = new Map<number, CachedPrompt>();
  /** Cache rows of a sequence. Its last token is never an input, so it needs no row. */
  private readonly ownRows: number;
  /** Maximum number of positions of a sequence. */
  private readonly length: number;

  constructor(
    private readonly model: CausalLM,
    private readonly size: DecodingSize,
    private readonly settings: DecodingSettings,
    private readonly pass: DecodingPass,
    private readonly gpu: Gpu = model.gpu,
  ) {
    const { rows, prompts, copies, longestPrompt, promptRows } = size;
    const { maxNewTokens, eosTokenIds, repetitionPenalty: penalty, returnLogprobs } = settings;
    this.ownRows = Math.max(1, maxNewTokens - 1);
    this.length = maxNewTokens + longestPrompt;
    this.cache = new KvCache(gpu, model.config, promptRows + rows * this.ownRows);
    try {
      const eos = Uint32Array.from(eosTokenIds.length > 0 ? eosTokenIds : [INVALID_TOKEN]);
      const zeros = (shape: [number, number], label: string) =>
        this.upload(new Uint32Array(shape[0] * shape[1]), shape, label);
      const perToken = (label: string) => zeros([maxNewTokens, rows], label);
      this.live = {
        places: zeros([rows, PLACE_COLUMNS], 'places'),
        tokens: perToken('generated tokens'),
        eos: this.upload(eos, [eos.length], 'end tokens'),
        logprobs: returnLogprobs
          ? { sampling: perToken('sampling log-probabilities'), model: perToken('model log-probabilities') }
          : undefined,
      };
      if (prompts * copies > rows) {
        const next = this.upload(Uint32Array.of(rows), [1], 'next sequence');
        this.waiting = { prompts: zeros([prompts, PROMPT_COLUMNS], 'prompts'), next, copies };
      }
      if (penalty !== 1) {
        this.repetition = { penalty, prompts: zeros([1, promptRows], 'prompt tokens'), longestPrompt };
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * The maximum bytes of a decoding with its pass and the kernels that they run, found by rehearsing the prompts and a step.
   * `passBytes`: those of the pass alone.
   */
  static plan(
    model: CausalLM,
    size: DecodingSize,
    settings: DecodingSettings,
  ): Rehearsal & { passBytes: number } {
    let passBytes = 0;
    const rehearsal = rehearse(model.gpu, (counting) => {
      const pass = decodingPass(model, counting);
      passBytes = pass.bytes;
      const decoding = new Decoding(model, size, settings, pass, counting);
      const { longestPrompt, promptRows, rows, prompts, copies } = size;
      const lengths: number[] = [];
      for (let left = promptRows; left > 0; left -= longestPrompt)
        lengths.push(Math.min(left, longestPrompt));
      const longest = lengths.map((length) => new Array<number>(length).fill(0));
      const seats = Array.from({ length: rows }, (_, slot) => ({ slot, sequence: 0, start: 0 }));
      decoding.prefill(0, 0, longest, seats);
      if (settings.maxNewTokens > 1 || decoding.waiting) decoding.advance(prompts * copies);
    });
    return { ...rehearsal, passBytes };
  }

  /** Number of rows that take part in a step. */
  get rows(): number {
    return this.live.places.rows;
  }

  /**
   * Records a pass over some prompts, the first of which has the index `first`, into the cache rows from `from` on. The first
   * prompts also choose the first tokens of the rows that they fill; rows that are refilled do so in their first step.
   */
  prefill(
    first: number,
    from: number,
    prompts: readonly (readonly number[])[],
    seats?: readonly Filled[],
  ): void {
    this.store(first, from, prompts);
    if (seats) this.seat(seats);
    const packed = packSequences(prompts.map((prompt) => ({ prompt: [...prompt], completion: [] })));
    this.run((tape, upload) => {
      const hidden = this.pass.prompts(tape, packed, this.rowsOfPass, from, upload);
      if (!seats) return;
      const last = Uint32Array.from(seats, (seat) => this.promptOf(seat).end - 1 - from);
      const indices = upload(last, [last.length], 'last tokens', 'batch');
      this.choose(tape, gather(tape, hidden, { indices }));
    });
    if (seats) this.step++;
  }

  /** Continues with only these rows. */
  seat(seats: readonly Filled[]): void {
    const places = seats.map((seat) => {
      const { slot, sequence, start } = seat;
      const prompt = this.promptOf(seat);
      const own = this.size.promptRows + slot * this.ownRows;
      const rows = { prompt: prompt.from, promptEnd: prompt.end, own, ownEnd: own + this.ownRows };
      return { ...rows, start, slot, sequence, first: prompt.lastToken };
    });
    this.release(this.live.places);
    this.live.places = this.upload(packPlaces(places), [seats.length, PLACE_COLUMNS], 'places');
  }

  private promptOf({ sequence }: Filled): CachedPrompt {
    return this.cached.get(Math.floor(sequence / this.size.copies))!;
  }

  /** Remembers where prompts are, also on the device. */
  private store(first: number, from: number, prompts: readonly (readonly number[])[]): void {
    const { recorder } = this.gpu;
    const { waiting, repetition } = this;
    let end = from;
    const cached = prompts.map((prompt) => {
      end += prompt.length;
      return { from: end - prompt.length, end, lastToken: prompt.at(-1)! };
    });
    for (const [i, each] of cached.entries()) this.cached.set(first + i, each);
    if (waiting) {
      const words = Uint32Array.from(cached.flatMap((each) => [each.from, each.end, each.lastToken]));
      recorder.write(wordsOf(waiting.prompts, first * PROMPT_COLUMNS, words.length), words);
    }
    if (repetition) {
      const ids = Uint32Array.from(prompts.flat());
      recorder.write(wordsOf(repetition.prompts, from, ids.length), ids);
    }
  }

  /**
   * Records one more token for every live row. Before that, rows of finished sequences go to waiting ones, of which `ready` is
   * the number whose prompts are in the cache, together with all earlier ones.
   */
  advance(ready?: number): void {
    const { gpu, live, waiting, step, settings } = this;
    if (waiting && ready !== undefined)
      refill(gpu, live, waiting, { step, ready, longest: settings.maxNewTokens });
    this.run((tape) => this.choose(tape, this.pass.step(tape, live, step, this.rowsOfPass)));
    this.step++;
  }

  /** The tokens chosen from step `from` until now, at most maxNewTokens steps. Arrives after the next submit; does not force one. */
  async read(from: number): Promise<ChosenTokens> {
    const { tokens, logprobs } = this.live;
    const wanted = logprobs ? [tokens, logprobs.sampling, logprobs.model] : [tokens];
    const parts = wanted.map((ring) => readRing(this.gpu.recorder, ring, from, this.step));
    const [ids, sampling, model] = await this.gpu.settle(Promise.all(parts));
    const chosen = { tokens: new Uint32Array(ids) };
    if (!sampling || !model) return chosen;
    return { ...chosen, logprobs: { sampling: new Float32Array(sampling), model: new Float32Array(model) } };
  }

  dispose(): void {
    this.cache.dispose();
    for (const tensor of [...this.owned]) this.release(tensor);
  }

  private get rowsOfPass(): PassOfRows {
    return { cache: this.cache, length: this.length };
  }

  private run(pass: (tape: Tape, upload: Upload) => void): void {
    const tape = Tape.forInference(this.gpu);
    const uploaded: Tensor[] = [];
    try {
      pass(tape, (data, shape, label, kind) => {
        const tensor = this.upload(data, shape, label, kind);
        uploaded.push(tensor);
        return tensor;
      });
    } finally {
      tape.dispose();
      for (const tensor of uploaded) this.release(tensor);
    }
  }

  /** Applies head and sampling to as many rows at a time as the logits' limit allows. */
  private choose(tape: Tape, hidden: Tensor): void {
    const { model, gpu, live, settings, step, repetition } = this;
    const { logprobs } = live;
    const { vocabSize: vocabulary, hiddenSize, logitSoftCap } = model.config;
    const stride = padded(vocabulary);
    const limit = Math.min(LOGITS_BYTES, gpu.limits.maxStorageBufferBindingSize);
    // Views begin at multiples of 256 bytes, which groups of 64 rows always do.
    const most = Math.max(64, Math.floor(limit / (stride * 4) / 64) * 64);
    for (let firstRow = 0; firstRow < hidden.rows; firstRow += most) {
      const rows = Math.min(most, hidden.rows - firstRow);
      const rowBytes = hiddenSize * 4;
      const offset = hidden.offset + firstRow * rowBytes;
      const part = new Tensor({ buffer: hidden.buffer, offset, size: rows * rowBytes }, [rows, hiddenSize]);
      const logits = tape.empty([rows, stride], 'logits');
      this.pass.head(gpu, part, logits);
      if (logitSoftCap !== undefined) softCap(gpu, logits, vocabulary, logitSoftCap);
      const at = { step, firstRow, vocabulary };
      // The penalty overwrites the logits, but the model's own log-probabilities need the original ones.
      const scores = repetition && logprobs ? tape.empty([rows, stride], 'penalized logits') : logits;
      if (scores !== logits) gpu.recorder.copy(logits, scores);
      if (repetition) penalize(tape, scores, live, repetition, at);
      sample(gpu, scores, live, settings, at, scores === logits);
      if (logprobs && scores !== logits) chosenLogprobs(gpu, logits, live, logprobs.model, at);
      if (scores !== logits) tape.release(scores);
      tape.release(logits);
    }
  }

  private upload(data: Uint32Array, shape: readonly number[], label: string, kind?: BufferKind): Tensor {
    const tensor = Tensor.from(this.gpu, data, shape, label, kind);
    this.owned.add(tensor);
    return tensor;
  }

  private release(tensor: Tensor): void {
    if (this.owned.delete(tensor)) this.gpu.pool.release(tensor);
  }
}
