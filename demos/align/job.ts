/**
 * The job in the worker: measures, trains, measures again, and generates stories on request in between. Does not depend on
 * the document.
 */

import { adviceOn, type DPOTrainer, readRunState, type TrainEvent } from 'webalign/trainers';
import { type Kept, openKept } from '../shared/kept.ts';
import { RunJob, type RunRecord } from '../shared/run-job.ts';
import { type Assets, fetchAssets } from './assets.ts';
import { measure } from './measure.ts';
import type {
  AlignJob,
  Listener,
  Measurement,
  Opened,
  Settings,
  Side,
  StagePhase,
  WriteListener,
  WriteOptions,
} from './messages.ts';
import { Runtime } from './runtime.ts';
import { DEFAULTS, MEASURED } from './task.ts';
import { historyOf, Teller, toPoint } from './telling.ts';

/** Settings as labeled on the page, within a sentence. */
const LABELS = new Map([
  ['beta', 'β'],
  ['learningRate', 'the learning rate'],
  ['numTrainEpochs', 'epochs'],
  ['r', 'the LoRA rank'],
]);

/** Number of openings that the page offers. */
const SUGGESTED = 24;

interface AlignRecord extends RunRecord {
  settings: Settings;
  before?: Measurement;
  after?: Measurement;
}

export type AlignKept = Kept<AlignRecord>;

export class Job extends RunJob<AlignRecord, DPOTrainer, StagePhase> implements AlignJob {
  private constructor(
    private readonly assets: Assets,
    kept: AlignKept,
    private readonly runtime: Runtime,
    private readonly teller: Teller,
  ) {
    super(kept, runtime, (update) => teller.tell(update), 'after');
    this.opened = {
      adapter: runtime.gpu.adapter,
      parameters: assets.parameters,
      pairs: { train: assets.train.length, heldOut: assets.heldOut.length },
      defaults: { ...DEFAULTS },
      openings: this.openings.slice(0, SUGGESTED),
      measured: this.openings.length,
    };
  }

  readonly opened: Opened;
  private writing = new AbortController();

  /** Fetches everything from the folder `base`, and finds the GPU and the state of an earlier visit. */
  static readonly open = async (base: string, listener: Listener): Promise<Job> => {
    const onUnkept = (text: string) => listener({ type: 'notice', text });
    const [assets, kept] = await Promise.all([
      fetchAssets(base),
      openKept<AlignRecord>('webalign-align', onUnkept),
    ]);
    const teller = new Teller(listener, assets.train.length + assets.heldOut.length);
    const job = new Job(assets, kept, await Runtime.open(assets), teller);
    await job.findKept();
    job.notify([...assets.notices, ...job.runtime.notices]);
    return job;
  };

  async start(settings: Settings): Promise<void> {
    await this.begin({ settings, startedAt: Date.now(), totalSteps: 0, stopped: false });
  }

  async write({ prompt, ...options }: WriteOptions, listener: WriteListener): Promise<void> {
    this.writing.abort();
    this.writing = new AbortController();
    const { signal } = this.writing;
    const sides: Side[] = this.step > 0 && this.runtime.trainer ? ['before', 'after'] : ['before'];
    const writeSide = async (side: Side) => {
      const ids: number[] = [];
      for await (const updates of this.runtime.write(side, [prompt], { ...options, signal, every: 4 })) {
        for (const update of updates) ids.push(...update.ids);
        listener(
          side,
          this.runtime.scored(prompt, ids),
          updates.some(({ finished }) => finished),
        );
      }
    };
    try {
      await this.onSoundDevice(() => Promise.all(sides.map(writeSide)));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  protected override createTrainer({ settings }: AlignRecord): DPOTrainer {
    return this.runtime.newTrainer(settings, this.kept);
  }

  protected override async work(record: AlignRecord): Promise<void> {
    const trainer = this.trainerOf(record);
    if (!record.before) await this.measure(record, 'before');
    if (record.before) await this.train(record, trainer);
    if (this.wanted === 'pause') return this.enter('paused');
    if (this.step === 0) return this.reset();
    if (this.wanted === 'stop') record.stopped = true;
    await this.kept.writeRecord(record);
    if (!record.after) await this.measure(record, 'after');
    await this.advise(record);
    this.enter('done');
  }

  private get openings(): string[] {
    return this.assets.heldOut.slice(0, MEASURED).map(({ prompt }) => prompt as string);
  }

  private async measure(record: AlignRecord, side: Side): Promise<void> {
    const { signal } = this.beginStage(side);
    const progress = (done: number) =>
      this.teller.tell({ type: 'progress', done, total: this.openings.length });
    try {
      const measurement = await measure(this.runtime, side, this.openings, signal, progress);
      record[side] = measurement;
      await this.kept.writeRecord(record);
      this.teller.tell({ type: 'measured', side, measurement });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Advice about the run's results. */
  private async advise({ settings, before, after }: AlignRecord): Promise<void> {
    const state = await readRunState(this.kept.checkpoint);
    const advice = adviceOn({
      log: state?.log ?? [],
      examples: this.assets.train.length,
      config: settings,
      rank: settings.r,
      samples: before?.figures && after?.figures && { before: before.figures, after: after.figures },
    });
    const lines = advice.map(({ sentence }) => sentence.toString((name) => LABELS.get(name) ?? name));
    this.teller.tell({ type: 'advice', lines });
  }

  private async train(record: AlignRecord, trainer: DPOTrainer): Promise<void> {
    const state = await readRunState(this.kept.checkpoint);
    this.step = state?.step ?? 0;
    const { settings, totalSteps } = record;
    this.teller.tell({ type: 'run', settings, totalSteps, ...historyOf(state?.log) });
    this.teller.begin();
    const stage = this.beginStage('reference');
    if (record.stopped) stage.abort();
    for await (const event of this.runtime.turns.each(trainer.train({ signal: stage.signal }))) {
      this.report(event, record);
      if (event.type === 'start') await this.kept.writeRecord(record);
      // Without a checkpoint, there is nothing to load for the rest.
      if (stage.signal.aborted && event.type === 'reference' && !state) break;
    }
  }

  private report(event: TrainEvent, record: AlignRecord): void {
    if (event.type === 'start') {
      const { totalSteps, trainableParameters, plannedBytes } = event.plan;
      record.totalSteps = totalSteps;
      this.teller.tell({ type: 'plan', totalSteps, trainableParameters, plannedBytes });
    } else if (event.type === 'reference') {
      if (this.teller.reference(event)) this.enter('training');
    } else if (event.type === 'step') {
      this.step = event.step;
      // A resumed trainer has its reference and does not report it.
      if (this.phase === 'reference') this.enter('training');
      this.teller.step(event, this.runtime.gpu);
    } else if (event.type === 'evaluate') {
      this.teller.tell({ type: 'heldOut', point: toPoint(event.step, event.metrics, 'eval_') });
    } else if (event.type === 'notice') {
      this.teller.tell(event);
    } else if (event.type === 'end') {
      this.step = event.step;
    }
  }

  private async findKept(): Promise<void> {
    const record = await this.kept.readRecord();
    const state = record && (await readRunState(this.kept.checkpoint).catch(() => undefined));
    if (!record || !state) return this.reset();
    this.record = record;
    this.step = state.step;
    const { settings, totalSteps, before, after } = record;
    this.teller.tell({ type: 'run', settings, totalSteps, ...historyOf(state.log) });
    if (before) this.teller.tell({ type: 'measured', side: 'before', measurement: before });
    if (after) this.teller.tell({ type: 'measured', side: 'after', measurement: after });
    if (after) await this.advise(record);
    this.enter('kept');
  }
}
