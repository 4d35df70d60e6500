/**
 * What trainers by policy gradient have in common: prompts, rewards and a source of completions, made of what a person gives.
 * A trainer adds its loss, its advantages and what of β is in the rewards.
 */
import { say, setting } from '../base/sentence.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { InputError } from '../io/errors.ts';
import type { TrainingLoss } from '../losses/families.ts';
import type { TrainingConfig } from '../train/config.ts';
import type { DataOptions, Task } from '../train/task.ts';
import type { AdvantageFunction } from './advantages.ts';
import { RewardEvaluation, type RewardEvaluationSettings } from './evaluation.ts';
import { PolicyGradientExperience, type PolicyGradientSettings } from './policy-gradient.ts';
import { type BatchReward, weighedRewards } from './rewards.ts';
import { repeatedPrompts, samplingNotices, tokenizePrompts } from './sampling.ts';
import { type RolloutSettings, RolloutSource, stepsServed } from './source.ts';

export interface RolloutTrainerOptions<Args> extends DataOptions<Args, readonly PromptRow[]> {
  /** What completions are rated by; several add up by `rewardWeights`. */
  rewardFuncs: BatchReward | readonly BatchReward[];
  /** Makes advantages of rewards in the place of the method's own rule. */
  advantageFunc?: AdvantageFunction;
}

/** What a configuration has of rollouts. */
type RolloutConfig = TrainingConfig &
  RolloutSettings &
  RewardEvaluationSettings & { rewardWeights: readonly number[] | null };

/** The method's own part. */
export interface PolicyGradientMethod<Config> {
  loss: TrainingLoss;
  advantages: AdvantageFunction;
  /** Of the KL penalty in the rewards. */
  penalty: number;
  notices?: readonly string[];
  reference?: Task<TrainingConfig & Config>['reference'];
}

/** Throws {@link InputError} for a prompt that does not fit, by its row, and for rewards that make no sense. */
export function policyGradientTask<Config extends RolloutConfig>(
  options: RolloutTrainerOptions<object>,
  config: Config &
    Partial<
      Pick<PolicyGradientSettings, 'rewardClipRange' | 'maskTruncatedCompletions' | 'topEntropyQuantile'>
    >,
  { loss, advantages, penalty, notices = [], reference }: PolicyGradientMethod<Config>,
): Task<Config> {
  const { model, processingClass: tokenizer, trainDataset, evalDataset = [], rewardFuncs } = options;
  if (!tokenizer)
    throw new InputError('training data', 'is text, and no tokenizer was given', 'Give a processingClass');
  const { maxCompletionLength } = config;
  const prompts = tokenizePrompts(trainDataset, tokenizer, model, maxCompletionLength);
  const heldOut = tokenizePrompts(evalDataset, tokenizer, model, maxCompletionLength);
  const rewards = weighedRewards([rewardFuncs].flat(), config.rewardWeights);
  const settings = { ...config, beta: penalty, isReused: stepsServed(config) > 1 };
  const maker = new PolicyGradientExperience(loss, rewards, options.advantageFunc ?? advantages, settings);
  const told = [...samplingNotices(model), repeatedPrompts(prompts), ...notices];
  return {
    config,
    loss,
    source: new RolloutSource({ model, tokenizer, prompts, maker, settings: config }),
    evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, config),
    temperature: config.temperature,
    notices: told.filter((line) => line !== undefined),
    reference,
  };
}

/** TRL's default of 512 new tokens shrinks to half of the model's positions where it would leave no room for a prompt. */
export function withFittingLength<Config extends { maxCompletionLength: number }>(
  config: Config,
  { model, args = {} }: RolloutTrainerOptions<object>,
): { config: Config; notices: string[] } {
  const { maxPositionEmbeddings: positions } = model.config;
  const most = Math.floor(positions / 2);
  const given = args as { maxCompletionLength?: number; max_completion_length?: number };
  const isChosen = (given.maxCompletionLength ?? given.max_completion_length) !== undefined;
  if (isChosen || config.maxCompletionLength <= most) return { config, notices: [] };
  const notice = `maxCompletionLength is ${most}: the model has ${positions} positions, and prompts need some.`;
  return { config: { ...config, maxCompletionLength: most }, notices: [notice] };
}

/** Throws {@link InputError} for a reference that is to move where there is none. */
export function requireReference(moves: boolean, beta: number): void {
  if (!moves || beta > 0) return;
  const what = say`${setting('syncRefModel')} moves the reference, and with ${setting('beta')} 0 there is none`;
  throw new InputError('settings', what, say`Raise ${setting('beta')}, or leave it out`);
}
