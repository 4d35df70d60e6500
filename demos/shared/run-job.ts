/**
 * A run in a worker, whatever it trains: started, paused, resumed, stopped; it survives its tab through the checkpoint, and
 * its device by resuming on a new one. {@link RunJob.work} defines its content. Does not depend on the document.
 */
import { DeviceLostError } from 'webalign/gpu';
import { type AdapterFiles, writeAdapter } from 'webalign/models';
import { readRunState, type TrainEvent } from 'webalign/trainers';
import type { Host, Trains } from './host.ts';
import type { Kept } from './kept.ts';
import { messageOf } from './message-of.ts';

/** Maximum number of consecutive lost devices without a step of progress. */
const MOST_LOSSES = 3;

/** The phases of every run. `kept`: a run of an earlier visit is stored in this browser and waits for a decision. */
export type CommonPhase = 'idle' | 'kept' | 'training' | 'pausing' | 'paused' | 'done' | 'failed';

/** `startedAt`: milliseconds since 1970. */
export interface PhaseUpdate<Phase> {
  type: 'phase';
  phase: Phase;
  step: number;
  totalSteps: number;
  startedAt: number;
  /** Why the run is lost with its tab, in sentences; empty if it is not. */
  unkept: string;
}

/** Updates of every run. `notice`: a sentence for the user. */
export type CommonUpdate<Phase> =
  | PhaseUpdate<Phase>
  | { type: 'notice'; text: string }
  | { type: 'failed'; message: string };

/** The stored part of every run. */
export interface RunRecord {
  /** Milliseconds since 1970. */
  startedAt: number;
  totalSteps: number;
  /** Ended by the user: no more steps. */
  stopped: boolean;
}

/** A job's requirements of a trainer. */
export interface TrainsInSteps extends Trains {
  readonly notices: readonly string[];
  train(options: { signal?: AbortSignal }): AsyncGenerator<TrainEvent>;
}

/** Also where a reward that uses the device has reported it as its own error. */
const isLostDevice = (error: unknown): boolean =>
  error instanceof DeviceLostError || (error instanceof Error && isLostDevice(error.cause));

export abstract class RunJob<Run extends RunRecord, Trainer extends TrainsInSteps, Phase extends string> {
  protected phase: Phase | CommonPhase = 'idle';
  protected record: Run | undefined;
  protected step = 0;
  /** The user's request during the run. */
  protected wanted: 'pause' | 'stop' | undefined;
  private running: Promise<void> | undefined;
  /** Aborts the current stage. */
  private stage = new AbortController();

  protected constructor(
    protected readonly kept: Kept<Run>,
    protected readonly host: Host<Trainer>,
    private readonly tellAll: (update: CommonUpdate<Phase | CommonPhase>) => void,
    /** The stage that a stop starts rather than aborts. */
    private readonly closing?: Phase,
  ) {}

  /** The content of a run, or its remainder. */
  protected abstract work(record: Run): Promise<void>;

  /** The trainer of a run, with a new adapter on the model. */
  protected abstract createTrainer(record: Run): Trainer;

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
    // Paused: the current state is measured, without further training.
    this.record.stopped = true;
    this.go(this.record);
    await this.running;
  }

  async discard(): Promise<void> {
    this.refuseWhileRunning();
    await this.reset();
  }

  async adapterFiles(): Promise<AdapterFiles> {
    return this.onSoundDevice(async () => {
      const adapter = this.host.trainer?.adapter;
      if (!adapter) throw new Error('There is no adapter yet: start a run first.');
      return writeAdapter(await this.host.turns.run(() => adapter.toAdapter()));
    });
  }

  /** Deletes the previous run and starts a new one. Throws if its settings are invalid. */
  protected async begin(record: Run): Promise<void> {
    this.refuseWhileRunning();
    this.host.removeTrainer();
    await this.kept.clear();
    this.step = 0;
    this.trainerOf(record);
    this.record = record;
    await this.kept.writeRecord(record);
    this.go(record);
  }

  /** The existing trainer, or a new one. */
  protected trainerOf(record: Run): Trainer {
    if (!this.host.trainer) {
      this.host.trainer = this.createTrainer(record);
      this.notify(this.host.trainer.notices);
    }
    return this.host.trainer;
  }

  /** Reports notices about the model, the data or the settings. */
  protected notify(lines: readonly string[]): void {
    for (const text of lines) this.tellAll({ type: 'notice', text });
  }

  /** Does work besides a run; if the device is lost and no run renews it, retries on a new one. */
  protected async onSoundDevice<T>(work: () => Promise<T>): Promise<T> {
    const { host, record } = this;
    try {
      return await work();
    } catch (error) {
      if (!isLostDevice(error)) throw error;
      if (this.running) throw new Error('The GPU device was lost meanwhile. Try again in a moment.');
      const hadTrainer = host.trainer !== undefined;
      await host.renew();
      if (record && hadTrainer) {
        const trainer = this.trainerOf(record);
        const signal = AbortSignal.abort();
        for await (const _ of host.turns.each(trainer.train({ signal }))); // Only loads the checkpoint.
      }
      return work();
    }
  }

  protected async reset(): Promise<void> {
    this.record = undefined;
    this.step = 0;
    this.host.removeTrainer();
    await this.kept.clear();
    this.enter('idle');
  }

  protected beginStage(phase: Phase | CommonPhase): AbortController {
    this.stage = new AbortController();
    // Requested between two stages.
    if (this.wanted && phase !== this.closing) this.stage.abort();
    else this.enter(phase);
    return this.stage;
  }

  protected enter(phase: Phase | CommonPhase): void {
    this.phase = phase;
    const { startedAt = 0, totalSteps = 0 } = this.record ?? {};
    const { unkept } = this.kept;
    this.tellAll({ type: 'phase', phase, step: this.step, totalSteps, startedAt, unkept });
  }

  protected refuseWhileRunning(): void {
    if (this.running) throw new Error('A run is under way: pause or stop it first.');
  }

  /** Starts or resumes a run. */
  private go(record: Run): void {
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
    if (this.phase !== this.closing) this.enter('pausing');
    this.stage.abort();
    await this.running;
  }

  /** Resumes on a new device whenever one is lost, as long as there is progress in between. */
  private async survive(work: () => Promise<void>): Promise<void> {
    for (let losses = 0; ; ) {
      const from = this.step;
      try {
        return await work();
      } catch (error) {
        losses = this.step > from ? 1 : losses + 1;
        if (!isLostDevice(error) || losses > MOST_LOSSES) throw error;
        const step = (await readRunState(this.kept.checkpoint))?.step ?? 0;
        const place = step > 0 ? `the checkpoint at step ${step}` : 'the start';
        const text = `The GPU device was lost. Going on from ${place}, on a new one.`;
        this.tellAll({ type: 'notice', text });
        await this.host.renew();
      }
    }
  }

  private fail(error: unknown): void {
    this.enter('failed');
    this.tellAll({ type: 'failed', message: messageOf(error) });
  }
}
