/**
 * The common part of policy gradient trainers: creates prompts, rewards and a source of completions from the user's
 * options. A trainer adds its loss, its advantages and the coefficient of the penalty in the rewards.
 */
import { say, setting } from '../base/sentence.ts';
import type { SettingTable } from '../base/setting.ts';
import type { Sliced } from '../base/slices.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { InputError } from '../io/errors.ts';
import type { TrainingLoss } from '../losses/family.ts';
import type { TrainingConfig } from '../train/config.ts';
import type { DataOptions, Task } from '../train/training-task.ts';
import type { AdvantageFunction } from './advantages.ts';
import { RewardEvaluation, type RewardEvaluationSettings } from './evaluation.ts';
import { PolicyGradientExperience, type PolicyGradientSettings } from './policy-gradient.ts';
import { preparedPrompts } from './prepare.ts';
import { type Reward, weighedRewards } from './rewards.ts';
import { type RolloutSettings, RolloutSource, stepsServed } from './source.ts';

export interface RolloutTrainerOptions<Args> extends DataOptions<Args, readonly PromptRow[]> {
  /** The reward functions; several are summed with `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
  /** Computes advantages from rewards instead of the method's own rule. */
  advantageFunc?: AdvantageFunction;
}

/** Settings of rollouts. */
type RolloutConfig = TrainingConfig &
  RolloutSettings &
  RewardEvaluationSettings & { rewardWeights: readonly number[] | null };

/** The method-specific part. */
export interface PolicyGradientMethod<Config> {
  loss: TrainingLoss;
  /** The trainer's declarations. */
  declared: SettingTable;
  advantages: AdvantageFunction;
  /** Coefficient of the KL penalty in the rewards. */
  penalty: number;
  notices?: readonly string[];
  reference?: Task<TrainingConfig & Config>['reference'];
}

/** In slices. Throws {@link InputError} for a prompt that is too long, with its row, and for invalid rewards. */
export function* policyGradientTask<Config extends RolloutConfig>(
  options: RolloutTrainerOptions<object>,
  config: Config &
    Partial<
      Pick<PolicyGradientSettings, 'rewardClipRange' | 'maskTruncatedCompletions' | 'topEntropyQuantile'>
    >,
  { loss, declared, advantages, penalty, notices = [], reference }: PolicyGradientMethod<Config>,
): Sliced<Task<Config>> {
  const { model, rewardFuncs } = options;
  const { tokenizer, prompts, heldOut, notices: ofPrompts } = yield* preparedPrompts(options, config);
  const rewards = weighedRewards([rewardFuncs].flat(), config.rewardWeights);
  const settings = { ...config, beta: penalty, isReused: stepsServed(config) > 1 };
  const maker = new PolicyGradientExperience(loss, rewards, options.advantageFunc ?? advantages, settings);
  return {
    config,
    settings: declared,
    loss,
    source: new RolloutSource({ model, tokenizer, prompts, maker, settings: config }),
    evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, config),
    temperature: config.temperature,
    notices: [...ofPrompts, ...notices],
    reference,
  };
}

/** Throws {@link InputError} for a moving reference if there is no reference. */
export function requireReference(moves: boolean, beta: number): void {
  if (!moves || beta > 0) return;
  const what = say`${setting('syncRefModel')} moves the reference, but with ${setting('beta')} 0 there is none`;
  throw new InputError('settings', what, say`Raise ${setting('beta')}, or leave it out`);
}
