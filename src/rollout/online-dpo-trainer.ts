/**
 * Online DPO (Guo et al. 2024) with TRL's names and defaults: the policy generates two completions per prompt, rewards or a
 * judge decide which is better, and the DPO loss learns from the pair.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { InputError } from '../io/errors.ts';
import { ONLINE_DPO, type OnlineDPOArgs, type OnlineDPOConfig } from '../train/settings/online-dpo.ts';
import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import { Trainer } from '../train/trainer.ts';
import type { DataOptions, Task } from '../train/training-task.ts';
import { RewardEvaluation } from './evaluation.ts';
import { type Judge, JudgeLabels } from './judge.ts';
import { RewardLabels } from './labels.ts';
import { PairExperience } from './pair-experience.ts';
import { preparedPrompts, withFittingLength } from './prepare.ts';
import { type Reward, weighedRewards } from './rewards.ts';
import { RolloutSource } from './source.ts';

/** Completions per prompt. */
const PAIR = 2;

export interface OnlineDPOTrainerOptions extends DataOptions<OnlineDPOArgs, readonly PromptRow[]> {
  /** The reward functions; several are summed with `rewardWeights`. With a judge they are only used for evaluation. */
  rewardFuncs?: Reward | readonly Reward[];
  /** Decides which completion is better, instead of rewards. */
  judge?: Judge;
  /** Number of pairs that the judge gets at a time; their answers are stored before the next ones. Default: the whole batch. */
  judgeBatchSize?: number;
}

export class OnlineDPOTrainer extends Trainer<OnlineDPOConfig> {
  /**
   * `task`: the result of {@link onlineDpoTask} for the options. Throws {@link InputError} for invalid settings, and for a prompt
   * that is too long, with its row.
   */
  constructor(
    options: OnlineDPOTrainerOptions,
    task: Task<OnlineDPOConfig> = atOnce(onlineDpoTask(options)),
  ) {
    super(options, task);
  }

  /** The same, but tokenizes the prompts in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: OnlineDPOTrainerOptions, slices?: SliceOptions): Promise<OnlineDPOTrainer> {
    return new OnlineDPOTrainer(options, await inSlices(onlineDpoTask(options), slices));
  }
}

/** Settings, prompts, rewards and loss of a run. */
export function* onlineDpoTask(options: OnlineDPOTrainerOptions): Sliced<Task<OnlineDPOConfig>> {
  const { model, judge, judgeBatchSize, rewardFuncs = [], evalDataset = [] } = options;
  const given = resolveConfig<OnlineDPOConfig>(ONLINE_DPO, options.args, options.peftConfig);
  const functions = [rewardFuncs].flat();
  if (functions.length === 0 && !judge)
    throw new InputError('online DPO', 'has neither rewards nor a judge', 'Give rewardFuncs or a judge');
  const rewards = functions.length > 0 ? weighedRewards(functions, given.rewardWeights) : [];
  const { config, notices: ofLength } = withFittingLength(given, options);
  const { tokenizer, prompts, heldOut, notices } = yield* preparedPrompts(
    { ...options, evalDataset: rewards.length > 0 ? evalDataset : [] },
    config,
  );
  // As in TRL: sums over completions.
  const loss = resolveLoss(ONLINE_DPO.family, { ...config, ipoTokenMean: 0 });
  const labeler = judge ? new JudgeLabels(judge, judgeBatchSize) : new RewardLabels(rewards, config);
  const maker = new PairExperience(labeler, config);
  // The batch size counts prompts, as in TRL.
  const perDeviceTrainBatchSize = PAIR * config.perDeviceTrainBatchSize;
  const settings = { ...config, numGenerations: PAIR, perDeviceTrainBatchSize };
  return {
    config,
    settings: ONLINE_DPO.settings,
    loss,
    source: new RolloutSource({ model, tokenizer, prompts, maker, settings }),
    evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, config),
    notices: [
      ...notices,
      ...ofLength,
      ...(judge ? judgeNotices(config, evalDataset, rewards.length > 0) : []),
    ],
  };
}

function judgeNotices(
  { labels, missingEosPenalty }: OnlineDPOConfig,
  evalDataset: readonly PromptRow[],
  isRated: boolean,
): string[] {
  const idle = [
    ...(labels === 'greedy' ? [] : ['labels']),
    ...(missingEosPenalty === null ? [] : ['missingEosPenalty']),
  ];
  const unused = idle.map((name) => `${name} has no effect with a judge.`);
  if (isRated || evalDataset.length === 0) return unused;
  return [...unused, 'Held-out prompts are not evaluated: there is no reward to rate their completions.'];
}
