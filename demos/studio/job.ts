/**
 * The job itself, in the worker: write drafts, and learn from what a person made of them. Knows no document.
 */
import { memoryFiles } from 'webalign/files';
import { type Adapter, type AdapterFiles, readAdapter, writeAdapter } from 'webalign/models';
import {
  type EvaluateEvent,
  type RunState,
  readRunState,
  type TrainEvent,
  type Trainer,
} from 'webalign/trainers';
import { historyOf, toPoint } from '../align/telling.ts';
import { openKept } from '../shared/kept.ts';
import { RunJob } from '../shared/run-job.ts';
import { adviceLines } from './advice.ts';
import { type Assets, withModel } from './assets.ts';
import { hasStalled, heldOutLoss, lossesOf } from './early-stopping.ts';
import { type ExportName, makeExport } from './exports.ts';
import { type Handlers, handle } from './handlers.ts';
import { addRun } from './history.ts';
import { chooseModel, keepModel } from './library.ts';
import type {
  DraftRequest,
  DraftUpdate,
  Lesson,
  Listener,
  ModelPlan,
  Opened,
  Phase,
  StagePhase,
  StudioJob,
} from './messages.ts';
import { methodOf } from './methods.ts';
import { newOnlineRecord, OnlineRun } from './online/run.ts';
import { planFiles } from './plan-files.ts';
import type { Judgment, Source } from './preferences/judgment.ts';
import { adapterName, type StudioKept, type StudioRecord } from './record.ts';
import { pastRunOf } from './remember.ts';
import type { RewardFigures } from './reward/figures.ts';
import { fitReward } from './reward/fit.ts';
import { Runtime } from './runtime.ts';
import { samplePrompts, sampleWhereDue } from './samples.ts';
import { Teller } from './telling.ts';
import { type Ballot, type Unblinded, unblind } from './unblinding.ts';

/** Phases in which the adapter changes. */
const RUNNING: readonly Phase[] = ['reference', 'picking', 'training', 'pausing'];

export class Job extends RunJob<StudioRecord, Trainer, StagePhase> implements StudioJob {
  private constructor(
    assets: Assets,
    kept: StudioKept,
    private readonly runtime: Runtime,
    private readonly teller: Teller,
    problem: string,
  ) {
    super(kept, runtime, (update) => teller.tell(update));
    const { model, tokenizer, gpu } = runtime;
    this.online = new OnlineRun({
      runtime,
      kept,
      tell: (online) => teller.tell({ type: 'online', online }),
      enter: (phase) => this.enter(phase),
    });
    this.opened = {
      adapter: gpu.adapter,
      model: {
        name: model.name,
        parameters: assets.parameters,
        positions: model.config.maxPositionEmbeddings,
        chats: tokenizer.hasChatTemplate,
        embedded: assets.loading === undefined,
      },
      suggestions: assets.suggestions,
      problem,
    };
  }

  readonly opened: Opened;
  private writing = new AbortController();
  private readonly online: OnlineRun;
  /** What the run of the record goes on from. */
  private first: Adapter | undefined;

  /** Opens the current model, the embedded one from beside the page at `base`, and finds what an earlier visit left. */
  static readonly open = async (base: string, listener: Listener): Promise<Job> => {
    const { made, problem } = await withModel(base, async (assets) => {
      return { assets, runtime: await Runtime.open(assets) };
    });
    const { assets, runtime } = made;
    const onUnkept = (text: string) => listener({ type: 'notice', text });
    const kept = await openKept<StudioRecord>(assets.database, onUnkept);
    const job = new Job(assets, kept, runtime, new Teller(listener), problem);
    await job.findKept();
    job.notify(job.runtime.notices);
    return job;
  };

  async start(lesson: Lesson): Promise<void> {
    this.refuseWhileRunning();
    await this.readFirst(lesson);
    const startedAt = Date.now();
    const online = methodOf(lesson.method).isOnline && { online: newOnlineRecord(startedAt) };
    await this.begin({ lesson, startedAt, totalSteps: 0, stopped: false, samples: [], ...online });
  }

  offerPicks(judgments: readonly Judgment[]): Promise<void> {
    return this.online.offer(judgments);
  }

  async stepBack(): Promise<void> {
    await this.pause();
    this.step = await this.online.stepBack(this.record, this.step);
    // The next one reads the checkpoint.
    this.host.removeTrainer();
    await this.resume();
  }

  async write(request: DraftRequest, listener: (update: DraftUpdate) => void): Promise<DraftUpdate> {
    this.stopWriting();
    this.writing = new AbortController();
    const { signal } = this.writing;
    // A draft is of one model from its first token to its last.
    await this.online.settled;
    const nameOf = (side: 'before' | 'now') => this.sourceOf(side);
    return this.onSoundDevice(() => this.runtime.draftUntil(request, nameOf, signal, listener));
  }

  fitReward(...[judgments, onProgress]: Parameters<StudioJob['fitReward']>): Promise<RewardFigures> {
    this.refuseWhileRunning();
    return this.onSoundDevice(() => fitReward(this.runtime, judgments, onProgress));
  }

  unblind(ballot: Ballot): Promise<Unblinded> {
    return this.onSoundDevice(() => unblind(this.runtime, ballot, (side) => this.sourceOf(side)));
  }

  stopWriting(): void {
    this.writing.abort();
  }

  async bestAdapterFiles(): Promise<AdapterFiles> {
    const { best } = this.record ?? {};
    if (best) return best.files;
    throw new Error('No row was held out in this run. Pick on more prompts: about every fifth is held out.');
  }

  async makeFile(name: ExportName): Promise<File> {
    const { record, kept, runtime } = this;
    if (!record) throw new Error('There is no run yet: train first.');
    return makeExport(name, {
      record,
      kept,
      runtime,
      model: this.opened.model.name,
      adapter: await readAdapter(memoryFiles(await this.adapterFiles())),
      isRunning: RUNNING.includes(this.phase),
      onNotice: (text) => this.notify([text]),
    });
  }

  async plan(files: readonly File[]): Promise<ModelPlan> {
    return planFiles(this.runtime.gpu, files);
  }

  async keepModel(...given: Parameters<StudioJob['keepModel']>): Promise<void> {
    this.refuseWhileRunning();
    const { id } = await keepModel(...given);
    await chooseModel(id);
  }

  protected override createTrainer({ lesson }: StudioRecord): Trainer {
    return this.runtime.newTrainer(lesson, this.kept, this.first);
  }

  private async readFirst({ start }: Lesson): Promise<void> {
    this.first = start && (await readAdapter(memoryFiles(start)));
  }

  protected override async work(record: StudioRecord): Promise<void> {
    await this.train(record, this.trainerOf(record));
    if (this.wanted === 'pause') return this.enter('paused');
    if (this.step === 0) return this.reset();
    if (this.wanted === 'stop') record.stopped = true;
    await this.kept.writeRecord(record);
    await this.remember(record);
    await this.advise(record);
    this.enter('done');
  }

  /** Puts a run that has ended into the history. */
  private async remember(record: StudioRecord): Promise<void> {
    const run = pastRunOf(record, await readRunState(this.kept.checkpoint), this.opened.model.name);
    const adapter = this.runtime.trainer?.adapter;
    if (!adapter) return;
    const files = writeAdapter(await this.runtime.turns.run(() => adapter.toAdapter()));
    const say = () =>
      this.notify(['This browser has no room to keep the run among the past ones: export it.']);
    await addRun(run, files).catch(say);
  }

  private sourceOf(side: 'before' | 'now'): Source {
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
    const isOver = () => record.stopped || hasStalled(losses, record.lesson.settings.earlyStoppingPatience);
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
        this.teller.step({ ...event, totalSteps: record.totalSteps }, this.runtime.gpu);
      },
      evaluate: async (event) => {
        this.teller.tell({ type: 'heldOut', point: toPoint(event.step, event.metrics, 'eval_') });
        losses.push(heldOutLoss(event));
        await this.keepBest(record, trainer, event);
        record.stopped ||= isOver();
        if (record.stopped) stage.abort();
      },
      // The model then stands at that very step; figures of a step come later than the step itself.
      checkpoint: async ({ step }) => {
        await this.sample(record, step);
        await this.online.learned(record, step);
      },
      writing: () => {
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
    this.teller.tell({ type: 'run', method, settings, totalSteps, ...historyOf(state?.log) });
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

  /** Keeps the adapter as it stands where the held-out loss is the lowest so far. */
  private async keepBest(record: StudioRecord, trainer: Trainer, event: EvaluateEvent): Promise<void> {
    const loss = heldOutLoss(event);
    const { adapter } = trainer;
    if (!adapter || !(loss < (record.best?.loss ?? Number.POSITIVE_INFINITY))) return;
    const files = writeAdapter(await this.runtime.turns.run(() => adapter.toAdapter()));
    record.best = { step: event.step, loss, files };
    await this.kept.writeRecord(record);
  }

  /** Problems that the figures of the run show. */
  private async advise(record: StudioRecord): Promise<void> {
    const lines = adviceLines(record, await readRunState(this.kept.checkpoint));
    this.teller.tell({ type: 'advice', lines });
  }

  private async findKept(): Promise<void> {
    const record = await this.kept.readRecord();
    const state = record && (await readRunState(this.kept.checkpoint).catch(() => undefined));
    if (!record || !state) return this.reset();
    await this.readFirst(record.lesson);
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
