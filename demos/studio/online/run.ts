/**
 * An online run in the worker: waits for a batch of picks on drafts of the model as it stands, reads the drafts, hands the batch to the
 * trainer, and keeps the checkpoint from before, so that the step can be taken back. Knows neither page nor phases.
 */
import type { TokenizedExample } from 'webalign/data';
import type { Trainer } from 'webalign/trainers';
import type { Judgment, Source } from '../preferences/judgment.ts';
import { type Pair, pairRows, pairsOf } from '../preferences/rows.ts';
import type { StudioKept, StudioRecord } from '../record.ts';
import type { Runtime } from '../runtime.ts';
import { pairIds } from '../tokens.ts';
import { isWhole, judgedNow, onHeldOut, pending } from './pending.ts';
import { type Reading, readDrafts, type Seen, standingOf } from './reading.ts';
import type { OnlineState } from './state.ts';
import { PickTrainer } from './trainer.ts';
import { UndoPoints } from './undo-points.ts';

/** What is kept of an online run, beside its checkpoint. */
export interface OnlineRecord {
  /** Milliseconds since 1970: the start, or the last step back. Picks from before are not learned from. */
  since: number;
  /** Learning steps that were taken back, so that two models at the same step have two names. */
  backs: number;
  /** Of the learning steps that hold, in order. */
  readings: readonly Reading[];
}

type OnlineStudioRecord = StudioRecord & { online: OnlineRecord };

const isOnline = (record: StudioRecord | undefined): record is OnlineStudioRecord =>
  record?.online !== undefined;

/** What it works on, and whom it tells. */
export interface OnlineHost {
  runtime: Runtime;
  kept: StudioKept;
  /** Hears where the run stands. */
  tell(state: OnlineState): void;
  /** Hears that the run waits for picks, or learns from them, from now on. */
  enter(phase: 'picking' | 'training'): void;
}

/** Where the run stands when it asks for picks. */
interface Asking {
  /** Optimizer steps so far. */
  step: number;
  /** Who writes now. */
  source: Source;
  signal: AbortSignal;
}

const BEGUN: Omit<OnlineRecord, 'since'> = { backs: 0, readings: [] };

export const newOnlineRecord = (startedAt: number): OnlineRecord => ({ since: startedAt, ...BEGUN });

export class OnlineRun {
  private offered: readonly Judgment[] = [];
  private points: Promise<UndoPoints> | undefined;
  private ofRun = 0;
  /** Looks at what was offered, while the run waits. */
  private look: (() => void) | undefined;
  private finish = () => {};
  /** Resolves when no batch is being learned from. */
  settled: Promise<void> = Promise.resolve();
  private source: Source = { model: '' };
  private begun = 0;

  constructor(private readonly host: OnlineHost) {}

  /** The judgments of this browser as they are now. Resolves when what is due of them has been learned. */
  offer(judgments: readonly Judgment[]): Promise<void> {
    this.offered = judgments;
    this.look?.();
    return this.settled;
  }

  /** Waits until a batch is there, and gives it to the trainer; gives nothing where the signal ends the wait. Other runs do not wait. */
  async next(record: StudioRecord, trainer: Trainer, asking: Asking): Promise<void> {
    if (!isOnline(record) || !(trainer instanceof PickTrainer)) return;
    const { host } = this;
    const { step, source, signal } = asking;
    if (!signal.aborted) host.enter('picking');
    this.source = source;
    // A tab that was closed between record and checkpoint has noted a step that was never made.
    const readings = record.online.readings.filter((reading) => reading.step <= step);
    record.online = { ...record.online, readings };
    const points = await this.pointsOf(record);
    const bytes = await host.kept.checkpoint.read();
    if (bytes && points.before(step + 1) !== step) await points.add(step, bytes);
    this.finish();
    const judged = await this.enough(record, asking);
    if (!judged) return;
    host.enter('training');
    await this.give(record, trainer, judged, step);
  }

  /** Notes how long a batch took from its last pick, once the model has learned from it. */
  async learned(record: StudioRecord, step: number): Promise<void> {
    if (!isOnline(record)) return;
    const seconds = (performance.now() - this.begun) / 1000;
    const readings = record.online.readings.map((reading) =>
      reading.step === step ? { ...reading, seconds } : reading,
    );
    record.online = { ...record.online, readings };
    await this.host.kept.writeRecord(record);
  }

  /** The run has ended or waits for a person's decision: nobody need wait for it. */
  rest(): void {
    this.look = undefined;
    this.finish();
  }

  /**
   * Puts the checkpoint before the last learning step in its place, byte for byte; its picks are not learned from again. Returns the
   * step that it stands at. Throws where there is no step to take back.
   */
  async stepBack(record: StudioRecord | undefined, step: number): Promise<number> {
    if (!isOnline(record)) throw new Error('Only a run that learns while you pick has steps to take back.');
    const { kept } = this.host;
    const points = await this.pointsOf(record);
    const target = points.before(step);
    const bytes = target === undefined ? undefined : await points.read(target);
    if (target === undefined || !bytes)
      throw new Error('There is no earlier step that this browser has kept.');
    const readings = record.online.readings.filter((reading) => reading.step <= target);
    record.online = { since: Date.now(), backs: record.online.backs + 1, readings };
    const { perDeviceTrainBatchSize } = record.lesson.settings;
    const train = record.lesson.train.slice(0, readings.length * perDeviceTrainBatchSize);
    record.lesson = { ...record.lesson, train };
    await kept.writeRecord(record);
    await kept.checkpoint.write(bytes);
    return target;
  }

  /** Tells where a run stands, also one that is paused. */
  async report(record: StudioRecord | undefined, step: number): Promise<void> {
    if (!isOnline(record)) return;
    const { startedAt, online, lesson } = record;
    const points = await this.pointsOf(record);
    const mine = this.offered.filter(({ time }) => time > startedAt);
    this.host.tell({
      startedAt,
      batchSize: lesson.settings.perDeviceTrainBatchSize,
      pending: pending(judgedNow(mine, { since: online.since, source: this.source })).length,
      heldOut: onHeldOut(mine, startedAt),
      steps: online.readings.length,
      stepsBack: points.countBefore(step),
      ...standingOf(online.readings),
    });
  }

  private async enough(
    record: OnlineStudioRecord,
    { step, signal }: Asking,
  ): Promise<Judgment[] | undefined> {
    const { perDeviceTrainBatchSize } = record.lesson.settings;
    const judged = () => judgedNow(this.offered, { since: record.online.since, source: this.source });
    const waited = new AbortController();
    try {
      return await new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(undefined), { once: true, signal: waited.signal });
        this.look = () => {
          const found = judged();
          if (signal.aborted) resolve(undefined);
          else if (pending(found).length >= perDeviceTrainBatchSize) {
            // At once, so that whoever offered it waits for it.
            this.settled = new Promise((done) => {
              this.finish = done;
            });
            this.look = undefined;
            this.begun = performance.now();
            resolve(found);
          } else void this.report(record, step);
        };
        this.look();
      });
    } finally {
      waited.abort();
      this.look = undefined;
    }
  }

  /** Learns from the latest pairs of what was judged. */
  private async give(
    record: OnlineStudioRecord,
    { adapter, picks }: PickTrainer,
    judged: readonly Judgment[],
    step: number,
  ): Promise<void> {
    const { runtime, kept } = this.host;
    const { perDeviceTrainBatchSize, numTrainEpochs } = record.lesson.settings;
    const batch = pending(judged).slice(-perDeviceTrainBatchSize);
    if (!adapter) throw new Error('An online run trains an adapter.');
    const seen = judged.map((judgment) => seenOf(runtime, judgment));
    const reading = await runtime.turns.run(() => readDrafts(runtime.model, adapter, seen));
    const after = step + Math.max(1, Math.round(numTrainEpochs));
    const { online, lesson } = record;
    record.online = { ...online, readings: [...online.readings, { ...reading, step: after, seconds: 0 }] };
    record.lesson = { ...lesson, train: [...lesson.train, ...batch] };
    await kept.writeRecord(record);
    picks.give(pairsOf(batch).map((pair) => exampleOf(runtime, pair)));
  }

  private pointsOf({ startedAt }: StudioRecord): Promise<UndoPoints> {
    if (this.ofRun !== startedAt || !this.points) {
      this.ofRun = startedAt;
      this.points = UndoPoints.of(startedAt, this.host.kept.unkept === '');
    }
    return this.points;
  }
}

function seenOf(runtime: Runtime, judgment: Judgment): Seen {
  const prompt = runtime.encode(judgment.prompt);
  const sequences = judgment.drafts.map(({ tokens = [] }) => ({ prompt, completion: [...tokens] }));
  const [pair] = pairsOf([judgment]);
  const better = pair ? judgment.drafts.indexOf(pair.chosen) : -1;
  return { sequences, better: better < 0 ? undefined : better };
}

/** A pair as its tokens were drawn; an edit is tokenized. */
function exampleOf(runtime: Runtime, pair: Pair): TokenizedExample {
  const { judgment, chosen, rejected } = pair;
  if (isWhole(chosen) && isWhole(rejected)) {
    const prompt = runtime.encode(judgment.prompt);
    return { prompt, completions: [[...(chosen.tokens ?? [])], [...(rejected.tokens ?? [])]] };
  }
  return examplesOf(runtime, [judgment])[0];
}

/** Pairs as they are tokenized for training. */
export function examplesOf(
  { model, tokenizer }: Pick<Runtime, 'model' | 'tokenizer'>,
  judgments: readonly Judgment[],
): TokenizedExample[] {
  const { vocabSize, maxPositionEmbeddings: maxLength } = model.config;
  return pairRows(judgments).map((row) => {
    const { prompt, chosen, rejected } = pairIds(row, { tokenizer, vocabSize, maxLength });
    return { prompt: [...prompt], completions: [chosen, rejected] };
  });
}
