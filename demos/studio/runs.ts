/**
 * Runs in the worker, whatever method trains: from the first look at the reference to the history of runs. Knows no document; what the
 * page asks for beside runs is in `job.ts`.
 */
import { memoryFiles } from 'webalign/files';
import { type Adapter, readAdapter } from 'webalign/models';
import {
  type EvaluateEvent,
  type RunState,
  readRunState,
  type TrainEvent,
  type Trainer,
} from 'webalign/trainers';
import { historyOf } from '../align/telling.ts';
import { RunJob } from '../shared/run-job.ts';
import { adviceLines } from './advice.ts';
import { betterThan, hasStalled, heldOutLoss, lossesOf, patienceOf } from './early-stopping.ts';
import { type Handlers, handle } from './handlers.ts';
import type { Lesson, Opened, Phase, StagePhase } from './messages.ts';
import { OnlineRun } from './online/run.ts';
import { keepSnapshot, measureOptimum, owesOptimum, policyCurves } from './policy/run.ts';
import type { Source } from './preferences/judgment.ts';
import { adapterName, type StudioKept, type StudioRecord } from './record.ts';
import { remember } from './remember.ts';
import type { Runtime } from './runtime.ts';
import { samplePrompts, sampleWhereDue } from './samples.ts';
import type { Teller } from './telling.ts';

const UNKEPT = 'This browser does not keep the run among the past ones: export it.';

/** Phases in which the adapter changes. */
const RUNNING: readonly Phase[] = ['reference', 'picking', 'training', 'pausing'];

export class StudioRuns extends RunJob<StudioRecord, Trainer, StagePhase> {
  protected readonly online: OnlineRun;
  /** The adapter that the run of the record continues from. */
  private first: Adapter | undefined;

  protected constructor(
    kept: StudioKept,
    protected readonly runtime: Runtime,
    protected readonly teller: Teller,
    readonly opened: Opened,
  ) {
    super(kept, runtime, (update) => teller.tell(update));
    this.online = new OnlineRun({
      runtime,
      kept,
      tell: (online) => teller.tell({ type: 'online', online }),
      enter: (phase) => this.enter(phase),
    });
  }

  /** Whether the adapter changes now, and the checkpoint is older than it. */
  protected get isLearning(): boolean {
    return RUNNING.includes(this.phase);
  }

  protected override createTrainer({ lesson }: StudioRecord): Trainer {
    return this.runtime.newTrainer(lesson, this.kept, this.first);
  }

  /** Reads what the trainer is made of, which cannot wait. */
  protected async readAdapters({ start, reward }: Lesson): Promise<void> {
    this.first = start && (await readAdapter(memoryFiles(start)));
    this.runtime.reward = reward && (await readAdapter(memoryFiles(reward)));
  }

  protected override async work(record: StudioRecord): Promise<void> {
    const trainer = this.trainerOf(record);
    if (await this.hasOptimum(record)) await this.train(record, trainer);
    if (this.wanted === 'pause') return this.enter('paused');
    if (this.step === 0) return this.reset();
    if (this.wanted === 'stop') record.stopped = true;
    await this.kept.writeRecord(record);
    const { runtime, kept } = this;
    await remember({ runtime, kept, model: this.opened.model.name }, record).catch(() =>
      this.notify([UNKEPT]),
    );
    await this.advise(record);
    this.enter('done');
  }

  /** Estimates the best possible objective, where the run has one; false where it was interrupted. */
  private async hasOptimum(record: StudioRecord): Promise<boolean> {
    if (!(record.policy && owesOptimum(record))) return true;
    const { signal } = this.beginStage('optimum');
    const onProgress = (done: number, total: number) => this.teller.tell({ type: 'progress', done, total });
    try {
      signal.throwIfAborted();
      const reference = await measureOptimum(this.runtime, record, { signal, onProgress });
      record.policy = { ...record.policy, reference };
      await this.kept.writeRecord(record);
      this.teller.tell({ type: 'optimum', ...reference });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return !signal.aborted;
  }

  protected sourceOf(side: 'before' | 'now'): Source {
    const model = this.opened.model.name;
    const hasLearned = side === 'now' && this.runtime.trainer !== undefined && this.step > 0;
    return hasLearned && this.record ? { model, adapter: adapterName(this.record, this.step) } : { model };
  }

  private async train(record: StudioRecord, trainer: Trainer): Promise<void> {
    const state = await readRunState(this.kept.checkpoint);
    this.step = state?.step ?? 0;
    this.tellRun(record, state);
    const stage = this.beginStage('reference');
    const losses = lossesOf(state);
    const isOver = () => record.stopped || hasStalled(losses, patienceOf(record.lesson));
    if (isOver()) stage.abort();
    const isNew = state === undefined;
    const handlers: Partial<Handlers<TrainEvent, void | Promise<void>>> = {
      start: async ({ plan: { totalSteps, trainableParameters, plannedBytes } }) => {
        record.totalSteps = record.online ? Number.POSITIVE_INFINITY : totalSteps;
        this.teller.tell({ type: 'plan', totalSteps: record.totalSteps, trainableParameters, plannedBytes });
        await this.kept.writeRecord(record);
        if (isNew) await this.sample(record, 0);
      },
      reference: ({ done, total }) => this.teller.tell({ type: 'progress', done, total }),
      step: (event) => {
        this.step = event.step;
        if (this.phase === 'reference') this.enter('training');
        const told = { ...event, totalSteps: record.totalSteps };
        this.teller.step(told, this.runtime.gpu, record.policy !== undefined);
      },
      evaluate: async (event) => {
        this.teller.evaluated(event, record.policy !== undefined);
        losses.push(heldOutLoss(event));
        await this.keepAdapter(record, trainer, event);
        record.stopped ||= isOver();
        if (record.stopped) stage.abort();
      },
      // The model then stands at that very step; figures of a step come later than the step itself.
      checkpoint: async ({ step }) => {
        await this.sample(record, step);
        await this.online.learned(record, step);
      },
      writing: ({ step, tokens, mostTokens }) => {
        if (record.policy) return this.teller.tell({ type: 'writing', step, share: tokens / mostTokens });
        const now = { step: this.step, source: this.sourceOf('now'), signal: stage.signal };
        return this.online.next(record, trainer, now);
      },
      notice: (event) => this.teller.tell(event),
      end: ({ step }) => {
        this.step = step;
      },
    };
    try {
      for await (const event of this.runtime.turns.each(trainer.train({ signal: stage.signal }))) {
        await handle(handlers, event);
        // Without a checkpoint there is nothing that the rest would load.
        if (isNew && event.type === 'reference' && stage.signal.aborted) break;
      }
    } finally {
      this.online.rest();
    }
  }

  private tellRun(record: StudioRecord, state: RunState | undefined): void {
    const { method, settings } = record.lesson;
    const { totalSteps } = record;
    const policy = policyCurves(record, state);
    const { train, heldOut } = historyOf(policy ? [] : state?.log);
    this.teller.tell({ type: 'run', method, settings, totalSteps, train, heldOut, policy });
    this.tellSamples(record);
  }

  private tellSamples({ lesson, samples }: StudioRecord): void {
    this.teller.tell({ type: 'samples', samples: { prompts: samplePrompts(lesson), taken: samples } });
  }

  /** Samples the model as it stands, where that is due and has not been done. */
  private async sample(record: StudioRecord, step: number): Promise<void> {
    if (!(await sampleWhereDue(this.runtime, record, step))) return;
    await this.kept.writeRecord(record);
    this.tellSamples(record);
  }

  /** Keeps the adapter of an evaluation: where the held-out loss is the lowest so far, and of each in a run on rollouts. */
  private async keepAdapter(record: StudioRecord, trainer: Trainer, event: EvaluateEvent): Promise<void> {
    const { runtime, kept } = this;
    await keepSnapshot({ runtime, kept }, record, trainer, event.step);
    const best = await betterThan(record.best, { runtime, trainer }, event);
    if (!best) return;
    record.best = best;
    await kept.writeRecord(record);
  }

  /** Problems that the figures of the run show. */
  private async advise(record: StudioRecord): Promise<void> {
    const lines = adviceLines(record, await readRunState(this.kept.checkpoint));
    this.teller.tell({ type: 'advice', lines });
  }

  protected async findKept(): Promise<void> {
    const record = await this.kept.readRecord();
    const state = record && (await readRunState(this.kept.checkpoint).catch(() => undefined));
    if (!record || !state) return this.reset();
    await this.readAdapters(record.lesson);
    this.record = record;
    this.step = state.step;
    const isOver = record.stopped || state.step === record.totalSteps;
    this.tellRun(record, state);
    await this.online.report(record, state.step);
    if (!isOver) return this.enter('kept');
    // The adapter of a finished run writes and is exported as before the reload.
    await this.onSoundDevice(() => this.loadCheckpoint(record));
    await this.advise(record);
    this.enter('done');
  }

  /** Puts a trainer with the numbers of the checkpoint on the model; trains nothing. */
  private async loadCheckpoint(record: StudioRecord): Promise<void> {
    const signal = AbortSignal.abort();
    for await (const _ of this.runtime.turns.each(this.trainerOf(record).train({ signal })));
  }
}
