/**
 * The job itself, in the worker: measure, train, measure again, and meanwhile write whatever somebody asks for. It can be
 * paused and resumed, outlives its tab by the checkpoint, and outlives its device by going on from there on a new one.
 * Knows no document.
 */
import { DeviceLostError, type DPOTrainer, type TrainEvent, writeAdapter } from '../../src/index.ts';
import type { AdapterFiles } from '../../src/io/peft.ts';
import { type Assets, fetchAssets } from './assets.ts';
import { type Kept, openKept, type RunRecord, readState } from './kept.ts';
import { measure } from './measure.ts';
import type {
  AlignJob,
  Listener,
  Opened,
  Phase,
  Settings,
  Side,
  WriteListener,
  WriteOptions,
} from './messages.ts';
import { Runtime } from './runtime.ts';
import { DEFAULTS, MEASURED } from './task.ts';
import { historyOf, Teller, toPoint } from './telling.ts';

/** Devices that may be lost in a row without a step of progress. */
const MOST_LOSSES = 3;
/** Openings that the page offers. */
const SUGGESTED = 24;

export class Job implements AlignJob {
  private constructor(
    private readonly assets: Assets,
    private readonly kept: Kept,
    private readonly runtime: Runtime,
    listener: Listener,
  ) {
    this.opened = {
      adapter: runtime.gpu.adapter,
      parameters: assets.parameters,
      pairs: { train: assets.train.length, heldOut: assets.heldOut.length },
      defaults: { ...DEFAULTS },
      openings: this.openings.slice(0, SUGGESTED),
      measured: this.openings.length,
      durable: kept.durable,
    };
    this.teller = new Teller(listener, assets.train.length + assets.heldOut.length);
  }

  readonly opened: Opened;
  private readonly teller: Teller;
  private phase: Phase = 'idle';
  private record: RunRecord | undefined;
  private step = 0;
  /** The run under way. */
  private running: Promise<void> | undefined;
  /** Ends the stage under way; `wanted` says what then. */
  private stage = new AbortController();
  private wanted: 'pause' | 'stop' | undefined;
  private writing = new AbortController();

  /** Fetches everything from the folder `base`, and finds the GPU and what an earlier visit left. */
  static async open(base: string, listener: Listener): Promise<Job> {
    const [assets, kept] = await Promise.all([fetchAssets(base), openKept()]);
    const job = new Job(assets, kept, await Runtime.open(assets), listener);
    await job.findKept();
    return job;
  }

  async start(settings: Settings): Promise<void> {
    this.refuseWhileRunning();
    this.runtime.removeTrainer();
    await this.kept.clear();
    this.step = 0;
    this.runtime.createTrainer(settings, this.kept);
    this.record = { settings, startedAt: Date.now(), totalSteps: 0, stopped: false };
    await this.kept.writeRecord(this.record);
    this.go(this.record);
  }

  async pause(): Promise<void> {
    await this.end('pause');
  }

  async resume(): Promise<void> {
    this.refuseWhileRunning();
    if (this.record) this.go(this.record);
  }

  async stop(): Promise<void> {
    if (this.running) return this.end('stop');
    if (!this.record) return;
    // Paused: what is there is measured, nothing more is learnt.
    this.record.stopped = true;
    this.go(this.record);
    await this.running;
  }

  async discard(): Promise<void> {
    this.refuseWhileRunning();
    await this.reset();
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

  async adapterFiles(): Promise<AdapterFiles> {
    return this.onSoundDevice(async () => {
      const adapter = this.runtime.trainer?.adapter;
      if (!adapter) throw new Error('There is no adapter yet: start a run first.');
      return writeAdapter(await this.runtime.turns.run(() => adapter.toAdapter()));
    });
  }

  private get openings(): string[] {
    return this.assets.heldOut.slice(0, MEASURED).map(({ prompt }) => prompt as string);
  }

  private refuseWhileRunning(): void {
    if (this.running) throw new Error('A run is under way: pause or stop it first.');
  }

  /** Starts a run, or goes on with it. */
  private go(record: RunRecord): void {
    this.wanted = undefined;
    this.running = this.survive(() => this.work(record))
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.running = undefined;
      });
  }

  private async end(wanted: 'pause' | 'stop'): Promise<void> {
    if (!this.running) return;
    this.wanted = wanted;
    if (this.phase !== 'after') this.enter('pausing');
    this.stage.abort();
    await this.running;
  }

  /** The whole of a run, or what is left of it. */
  private async work(record: RunRecord): Promise<void> {
    const trainer = this.runtime.trainer ?? this.runtime.createTrainer(record.settings, this.kept);
    if (!record.before) await this.measure(record, 'before');
    if (record.before) await this.train(record, trainer);
    if (this.wanted === 'pause') return this.enter('paused');
    if (this.step === 0) return this.reset();
    if (this.wanted === 'stop') record.stopped = true;
    await this.kept.writeRecord(record);
    if (!record.after) await this.measure(record, 'after');
    this.enter('done');
  }

  private async measure(record: RunRecord, side: Side): Promise<void> {
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

  private async train(record: RunRecord, trainer: DPOTrainer): Promise<void> {
    const state = await readState(this.kept);
    this.step = state?.step ?? 0;
    const { settings, totalSteps } = record;
    this.teller.tell({ type: 'run', settings, totalSteps, ...historyOf(state?.log) });
    this.teller.begin();
    const stage = this.beginStage('reference');
    if (record.stopped) stage.abort();
    for await (const event of this.runtime.turns.each(trainer.train({ signal: stage.signal }))) {
      this.report(event, record);
      if (event.type === 'start') await this.kept.writeRecord(record);
      // Without a checkpoint there is nothing that the rest would load.
      if (stage.signal.aborted && event.type === 'reference' && !state) break;
    }
  }

  private report(event: TrainEvent, record: RunRecord): void {
    if (event.type === 'start') {
      const { totalSteps, trainableParameters, plannedBytes } = event.plan;
      record.totalSteps = totalSteps;
      this.teller.tell({ type: 'plan', totalSteps, trainableParameters, plannedBytes });
    } else if (event.type === 'reference') {
      if (this.teller.reference(event)) this.enter('training');
    } else if (event.type === 'step') {
      this.step = event.step;
      // A trainer that goes on has its reference and says nothing of it.
      if (this.phase === 'reference') this.enter('training');
      this.teller.step(event, this.runtime.gpu);
    } else if (event.type === 'evaluate') {
      this.teller.tell({ type: 'heldOut', point: toPoint(event.step, event.metrics, 'eval_') });
    } else if (event.type === 'end') {
      this.step = event.step;
    }
  }

  /** Works again on a new device whenever one is lost, as long as steps are made in between. */
  private async survive(work: () => Promise<void>): Promise<void> {
    for (let losses = 0; ; ) {
      const from = this.step;
      try {
        return await work();
      } catch (error) {
        losses = this.step > from ? 1 : losses + 1;
        if (!(error instanceof DeviceLostError) || losses > MOST_LOSSES) throw error;
        const step = (await readState(this.kept))?.step ?? 0;
        const place = step > 0 ? `the checkpoint at step ${step}` : 'the start';
        this.teller.tell({
          type: 'notice',
          text: `The GPU device was lost. Going on from ${place}, on a new one.`,
        });
        await this.runtime.renew();
      }
    }
  }

  /** Does a piece of work beside a run; where the device is lost and no run renews it, once more on a new one. */
  private async onSoundDevice<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      if (this.running) throw new Error('The GPU device was lost meanwhile. Try again in a moment.');
      const hadTrainer = this.runtime.trainer !== undefined;
      await this.runtime.renew();
      if (this.record && hadTrainer) {
        const trainer = this.runtime.createTrainer(this.record.settings, this.kept);
        const signal = AbortSignal.abort();
        for await (const _ of this.runtime.turns.each(trainer.train({ signal }))); // Only loads the checkpoint.
      }
      return work();
    }
  }

  private async findKept(): Promise<void> {
    const record = await this.kept.readRecord();
    const state = record && (await readState(this.kept).catch(() => undefined));
    if (!record || !state) return this.reset();
    this.record = record;
    this.step = state.step;
    const { settings, totalSteps, before, after } = record;
    this.teller.tell({ type: 'run', settings, totalSteps, ...historyOf(state.log) });
    if (before) this.teller.tell({ type: 'measured', side: 'before', measurement: before });
    if (after) this.teller.tell({ type: 'measured', side: 'after', measurement: after });
    this.enter('kept');
  }

  private async reset(): Promise<void> {
    this.record = undefined;
    this.step = 0;
    this.runtime.removeTrainer();
    await this.kept.clear();
    this.enter('idle');
  }

  private fail(error: unknown): void {
    this.enter('failed');
    this.teller.tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
  }

  private beginStage(phase: Phase): AbortController {
    this.stage = new AbortController();
    // Asked for between two stages.
    if (this.wanted && phase !== 'after') this.stage.abort();
    else this.enter(phase);
    return this.stage;
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    const { startedAt = 0, totalSteps = 0 } = this.record ?? {};
    this.teller.tell({ type: 'phase', phase, step: this.step, totalSteps, startedAt });
  }
}
