/**
 * The job in the worker: estimates the best possible objective, then lets the policy generate, be rewarded and learn. Does
 * not depend on the document.
 */
import type { Comparison } from 'webalign/data';
import { REWARDS, type Reward, weighedRewards } from 'webalign/rollouts';
import { type RLOOTrainer, readRunState, type TrainEvent } from 'webalign/trainers';
import { type Kept, openKept } from '../shared/kept.ts';
import {
  COPIES,
  type HeldOutPoint,
  type Optimum,
  policyHistory,
  toHeldOutPoint,
} from '../shared/policy-run.ts';
import { drawReference } from '../shared/reference-stories.ts';
import { RunJob, type RunRecord } from '../shared/run-job.ts';
import { type Assets, fetchAssets } from './assets.ts';
import { type Answers, Judging } from './judging.ts';
import type {
  AnswerToQuestion,
  JudgePort,
  Listener,
  Opened,
  RlhfJob,
  Settings,
  StagePhase,
} from './messages.ts';
import { type Fit, fitReward } from './reward-model.ts';
import { choiceOf, PATIENCE, rewardOf } from './rewards.ts';
import { Runtime } from './runtime.ts';
import { DEFAULTS, MOST_TOKENS } from './task.ts';
import { Teller, toRollout } from './telling.ts';

interface RlhfRecord extends RunRecord {
  settings: Settings;
  /** The user's answers, if the reward is learned from them. */
  answers?: Answers;
  fit?: Fit;
  reference?: { optimum: Optimum; point: HeldOutPoint };
}

/** AFINN under its name in the log. */
const BY_AFINN: Reward = {
  name: 'sentiment',
  rate: (batch) => REWARDS.sentiment?.({ maxCompletionLength: MOST_TOKENS })(batch) ?? [],
};

export type RlhfKept = Kept<RlhfRecord>;

export class Job extends RunJob<RlhfRecord, RLOOTrainer, StagePhase> implements RlhfJob {
  private constructor(
    private readonly assets: Assets,
    kept: RlhfKept,
    private readonly runtime: Runtime,
    private readonly teller: Teller,
  ) {
    super(kept, runtime, (update) => teller.tell(update));
    this.opened = {
      adapter: runtime.gpu.adapter,
      parameters: assets.parameters,
      prompts: { train: assets.train.length, heldOut: assets.heldOut.length },
      copies: COPIES,
      defaults: { ...DEFAULTS },
      examples: assets.examples.map((example) => {
        const tokens = runtime.tokenizer.encode(example.text).length;
        return { ...example, tokens, ended: true };
      }),
    };
  }

  readonly opened: Opened;
  /** The reward of the run. */
  private reward: Reward | undefined;
  private readonly judging = new Judging();

  /** Fetches everything from beside the folder `base`, and finds the GPU and the state of an earlier visit. */
  static readonly open = async (base: string, listener: Listener): Promise<Job> => {
    const onUnkept = (text: string) => listener({ type: 'notice', text });
    const [assets, kept] = await Promise.all([
      fetchAssets(base),
      openKept<RlhfRecord>('webalign-rlhf', onUnkept),
    ]);
    const job = new Job(assets, kept, await Runtime.open(assets), new Teller(listener));
    await job.findKept();
    job.notify([...assets.notices, ...job.runtime.notices]);
    return job;
  };

  async start(settings: Settings, judge?: JudgePort): Promise<void> {
    this.refuseWhileRunning();
    this.reward = this.rewardFor(settings, judge);
    this.runtime.learned.drop(this.runtime.model);
    await this.begin({ settings, startedAt: Date.now(), totalSteps: settings.maxSteps, stopped: false });
  }

  override async resume(judge?: JudgePort): Promise<void> {
    this.refuseWhileRunning();
    this.reward = this.rewardFor(this.record?.settings ?? DEFAULTS, judge);
    // Its reward may call a function that no longer exists.
    this.runtime.removeTrainer();
    await super.resume();
  }

  answer(answer: AnswerToQuestion): void {
    this.judging.answer(answer);
  }

  protected override createTrainer({ settings, fit }: RlhfRecord): RLOOTrainer {
    const { runtime } = this;
    if (fit) runtime.learned.put(runtime.model, runtime.tokenizer, fit.adapter);
    const { learnedFrom } = choiceOf(settings.reward);
    const rewards = [this.rewardOfRun()];
    // AFINN rated the pairs of the data, so it is logged with the model that learned from it.
    if (learnedFrom === 'pairs') rewards.push(BY_AFINN);
    return this.runtime.newTrainer(settings, rewards, this.kept);
  }

  protected override async work(record: RlhfRecord): Promise<void> {
    if (await this.hasReward(record)) {
      const trainer = this.trainerOf(record);
      if (!record.reference) await this.measure(record);
      if (record.reference) await this.train(record, trainer);
    }
    if (this.wanted === 'pause') return this.enter('paused');
    if (this.step === 0) return this.reset();
    if (this.wanted === 'stop') record.stopped = true;
    await this.kept.writeRecord(record);
    this.enter('done');
  }

  private rewardFor({ reward }: Settings, judge: JudgePort | undefined): Reward {
    return rewardOf(reward, { maxCompletionLength: MOST_TOKENS, judge, learned: this.runtime.learned });
  }

  private rewardOfRun(): Reward {
    if (!this.reward) throw new Error('The run has no reward yet: resume it first.');
    return this.reward;
  }

  /** Whether there is a reward: a learned one needs its stages first. */
  private async hasReward(record: RlhfRecord): Promise<boolean> {
    const { learnedFrom } = choiceOf(record.settings.reward);
    if (!learnedFrom || record.fit) return true;
    // The reward model learns without the policy's adapter.
    this.runtime.removeTrainer();
    if (learnedFrom === 'clicks' && !(await this.askPerson(record))) return false;
    const { signal } = this.beginStage('reward-model');
    if (signal.aborted) return false;
    const pairs: readonly Comparison[] = record.answers?.pairs ?? this.runtime.tokenPairs(this.assets.pairs);
    const fit = await fitReward(this.runtime, pairs, {
      seed: record.settings.seed,
      signal,
      onProgress: (done, total) => this.teller.tell({ type: 'progress', done, total }),
    });
    if (!fit) return false;
    record.fit = fit;
    await this.kept.writeRecord(record);
    this.tellFit(fit);
    return true;
  }

  /** Asks the user; false if not all answers were given. */
  private async askPerson(record: RlhfRecord): Promise<boolean> {
    const answers = record.answers ?? { pairs: [], asked: 0, done: false };
    record.answers = answers;
    const { signal } = this.beginStage('judging');
    try {
      await this.judging.run(this.runtime, answers, {
        openings: this.assets.train,
        seed: record.settings.seed,
        signal,
        ask: (question) => this.teller.tell({ type: 'question', question }),
        keep: () => this.kept.writeRecord(record),
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return answers.done;
  }

  private tellFit({ pairs, accuracy }: Fit): void {
    this.teller.tell({ type: 'fitted', pairs, accuracy });
  }

  /** Estimates the best possible objective, once per run. */
  private async measure(record: RlhfRecord): Promise<void> {
    const { signal } = this.beginStage('reference');
    const { beta, seed } = record.settings;
    const [reward] = weighedRewards([this.rewardOfRun()]);
    if (!reward) return;
    try {
      record.reference = await drawReference(this.runtime, {
        prompts: this.assets.heldOut,
        ids: this.assets.heldOut.map((prompt) => this.runtime.tokenizer.encode(prompt)),
        maxNewTokens: MOST_TOKENS,
        around: this.runtime.asItWas,
        reward,
        beta,
        seed,
        timeout: PATIENCE,
        signal,
        onProgress: (done, total) => this.teller.tell({ type: 'progress', done, total }),
      });
      await this.kept.writeRecord(record);
      this.teller.tell({ type: 'optimum', ...record.reference });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  private async train(record: RlhfRecord, trainer: RLOOTrainer): Promise<void> {
    const state = await readRunState(this.kept.checkpoint);
    this.step = state?.step ?? 0;
    this.tellRun(record, state?.log);
    const stage = this.beginStage('training');
    if (record.stopped) stage.abort();
    for await (const event of this.runtime.turns.each(trainer.train({ signal: stage.signal }))) {
      await this.report(event, record);
    }
  }

  private async report(event: TrainEvent, record: RlhfRecord): Promise<void> {
    const { teller, runtime } = this;
    if (event.type === 'start') {
      const { totalSteps, plannedBytes } = event.plan;
      record.totalSteps = totalSteps;
      teller.tell({ type: 'plan', totalSteps, plannedBytes });
      await this.kept.writeRecord(record);
    } else if (event.type === 'writing') {
      teller.tell({ type: 'writing', step: event.step, share: event.tokens / event.mostTokens });
    } else if (event.type === 'rollout') {
      const { marksWords } = choiceOf(record.settings.reward);
      teller.rollout(toRollout(event.step, event, marksWords), event);
    } else if (event.type === 'step') {
      this.step = event.step;
      teller.step(event, runtime.gpu);
    } else if (event.type === 'evaluate') {
      teller.tell({ type: 'heldOut', point: toHeldOutPoint(event.step, event.metrics) });
    } else if (event.type === 'notice') {
      this.teller.tell(event);
    } else if (event.type === 'end') {
      this.step = event.step;
    }
  }

  private async findKept(): Promise<void> {
    const record = await this.kept.readRecord();
    const state = record && (await readRunState(this.kept.checkpoint).catch(() => undefined));
    if (!record || !(state || record.answers)) return this.reset();
    this.record = record;
    this.step = state?.step ?? 0;
    this.tellRun(record, state?.log);
    this.enter('kept');
  }

  /** Everything known of a run so far. */
  private tellRun(
    { settings, totalSteps, reference, fit }: RlhfRecord,
    log: Parameters<typeof policyHistory>[0],
  ): void {
    const { train, heldOut } = policyHistory(log);
    const known = reference ? [reference.point, ...heldOut] : heldOut;
    this.teller.tell({
      type: 'run',
      settings,
      totalSteps,
      optimum: reference?.optimum,
      train,
      heldOut: known,
    });
    if (fit) this.tellFit(fit);
  }
}
