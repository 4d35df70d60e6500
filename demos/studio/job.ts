/**
 * The job itself, in the worker: what the page may ask for. Runs are in `runs.ts`. Knows no document.
 */
import { InputError, memoryFiles } from 'webalign/files';
import { type AdapterFiles, readAdapter, writeAdapter } from 'webalign/models';
import { openKept } from '../shared/kept.ts';
import { openedOf, withModel } from './assets.ts';
import { type ExportName, makeExport } from './exports.ts';
import { chooseModel, keepModel } from './library.ts';
import type {
  DraftRequest,
  DraftUpdate,
  Lesson,
  Listener,
  ModelPlan,
  Opened,
  StudioJob,
} from './messages.ts';
import { methodOf } from './methods.ts';
import { newOnlineRecord } from './online/run.ts';
import { planFiles } from './plan-files.ts';
import { newPolicyRecord } from './policy/run.ts';
import type { Judgment } from './preferences/judgment.ts';
import type { StudioKept, StudioRecord } from './record.ts';
import type { RewardFigures } from './reward/figures.ts';
import { fitReward } from './reward/fit.ts';
import { RewardStore } from './reward/store.ts';
import { StudioRuns } from './runs.ts';
import { Runtime } from './runtime.ts';
import { Teller } from './telling.ts';
import { type Ballot, type Unblinded, unblind } from './unblinding.ts';

const REWARD_UNKEPT = 'This browser does not keep the reward model: it ends with this tab.';

export class Job extends StudioRuns implements StudioJob {
  private writing = new AbortController();

  private constructor(
    kept: StudioKept,
    runtime: Runtime,
    teller: Teller,
    opened: Opened,
    private readonly rewards: RewardStore,
  ) {
    super(kept, runtime, teller, opened);
  }

  /** Opens the current model, the embedded one from beside the page at `base`, and finds what an earlier visit left. */
  static readonly open = async (base: string, listener: Listener): Promise<Job> => {
    const { made, problem } = await withModel(base, async (assets) => {
      return { assets, runtime: await Runtime.open(assets) };
    });
    const { assets, runtime } = made;
    const onUnkept = (text: string) => listener({ type: 'notice', text });
    const kept = await openKept<StudioRecord>(assets.database, onUnkept);
    const rewards = new RewardStore(assets.database);
    const reward = (await rewards.read())?.figures;
    const opened = openedOf(runtime, assets, { problem, reward });
    const job = new Job(kept, runtime, new Teller(listener), opened, rewards);
    await job.findKept();
    job.notify(job.runtime.notices);
    return job;
  };

  async start(given: Lesson): Promise<void> {
    this.refuseWhileRunning();
    const { isOnline, isPolicy } = methodOf(given.method);
    const reward = isPolicy && { reward: await this.rewardFiles() };
    const lesson = { ...given, ...reward };
    await this.readAdapters(lesson);
    const startedAt = Date.now();
    const online = isOnline && { online: newOnlineRecord(startedAt) };
    const policy = isPolicy && { policy: newPolicyRecord() };
    await this.begin({ lesson, startedAt, totalSteps: 0, stopped: false, samples: [], ...online, ...policy });
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

  async fitReward(...[judgments, onProgress]: Parameters<StudioJob['fitReward']>): Promise<RewardFigures> {
    this.refuseWhileRunning();
    const { adapter, figures } = await this.onSoundDevice(() =>
      fitReward(this.runtime, judgments, onProgress),
    );
    const stored = { fittedAt: Date.now(), files: writeAdapter(adapter), figures };
    if (!(await this.rewards.write(stored))) this.notify([REWARD_UNKEPT]);
    return figures;
  }

  async unblind(ballot: Ballot): Promise<Unblinded> {
    const { files } = (await this.rewards.read()) ?? {};
    const reward = files && (await readAdapter(memoryFiles(files)));
    const nameOf = (side: 'before' | 'now') => this.sourceOf(side);
    return this.onSoundDevice(() => unblind(this.runtime, ballot, nameOf, reward));
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
      isRunning: this.isLearning,
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

  private async rewardFiles(): Promise<AdapterFiles> {
    const stored = await this.rewards.read();
    if (stored) return stored.files;
    throw new InputError('the reward model', 'is not there yet', 'Fit one to your picks first');
  }
}
