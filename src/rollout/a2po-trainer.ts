/**
 * A*-PO (Brantley et al. 2025) with TRL's names and defaults: Theorem 1 as an algorithm. V* = β log Z is estimated once
 * from the reference's completions; then the implicit reward β log π/π_ref of one completion per prompt is regressed on r −
 * V*.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { A2PO, type A2POArgs, type A2POConfig } from '../train/settings/a2po.ts';
import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import { Trainer } from '../train/trainer.ts';
import type { DataOptions, Task } from '../train/training-task.ts';
import { AdvantageRegression } from './advantage-regression.ts';
import { RewardEvaluation } from './evaluation.ts';
import { preparedPrompts, withFittingLength } from './prepare.ts';
import { type Reward, weighedRewards } from './rewards.ts';
import { RolloutSource } from './source.ts';

export interface A2POTrainerOptions extends DataOptions<A2POArgs, readonly PromptRow[]> {
  /** The reward functions; several are summed with `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
}

export class A2POTrainer extends Trainer<A2POConfig> {
  /**
   * `task`: the result of {@link a2poTask} for the options. Throws `InputError` for invalid settings, and for a prompt
   * that is too long, with its row.
   */
  constructor(options: A2POTrainerOptions, task: Task<A2POConfig> = atOnce(a2poTask(options))) {
    super(options, task);
  }

  /** The same, but tokenizes the prompts in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: A2POTrainerOptions, slices?: SliceOptions): Promise<A2POTrainer> {
    return new A2POTrainer(options, await inSlices(a2poTask(options), slices));
  }
}

/** Settings, prompts, rewards and loss of a run. */
export function* a2poTask(options: A2POTrainerOptions): Sliced<Task<A2POConfig>> {
  const { model, rewardFuncs } = options;
  const given = resolveConfig<A2POConfig>(A2PO, options.args, options.peftConfig);
  const rewards = weighedRewards([rewardFuncs].flat(), given.rewardWeights);
  const { config, notices: ofLength } = withFittingLength(given, options);
  const { beta2: beta, perDeviceTrainBatchSize, gradientAccumulationSteps } = config;
  const { tokenizer, prompts, heldOut, notices } = yield* preparedPrompts(options, { ...config, beta });
  const loss = resolveLoss(A2PO.family, { lossType: A2PO.family.lossType, beta });
  const maker = new AdvantageRegression(loss.reads, tokenizer, rewards, {
    ...config,
    promptsAtATime: perDeviceTrainBatchSize * gradientAccumulationSteps,
  });
  const settings = { ...config, numGenerations: 1 };
  return {
    config,
    settings: A2PO.settings,
    loss,
    source: new RolloutSource({ model, tokenizer, prompts, maker, settings }),
    evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, { ...config, beta }),
    notices: [...notices, ...ofLength],
  };
}
