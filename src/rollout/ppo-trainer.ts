/**
 * PPO (Schulman et al. 2017; Ouyang et al. 2022) with the names and defaults of TRL 1.12. The policy writes a completion of each
 * prompt; a value model, an adapter with a head on the same base, says what each state is worth; tokens learn from their
 * advantages over several passes, with clipped ratios and values.
 */
import { say, setting } from '../base/sentence.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { InputError } from '../io/errors.ts';
import type { RoleStart } from '../train/roles.ts';
import { scalars } from '../train/scorer.ts';
import { PPO, type PPOArgs, type PPOConfig } from '../train/settings/ppo.ts';
import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import { Trainer } from '../train/trainer.ts';
import type { DataOptions } from '../train/training-task.ts';
import { RewardEvaluation } from './evaluation.ts';
import { PPOExperience, requireEstimator } from './ppo-experience.ts';
import { preparePrompts, withFittingLength } from './prepare.ts';
import { type Reward, weighedRewards } from './rewards.ts';
import { RolloutSource } from './source.ts';

export interface PPOTrainerOptions extends DataOptions<PPOArgs, readonly PromptRow[]> {
  /** What completions are rated by; several add up by `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
  /** What the value model begins as, such as the adapter and head of a reward model; a fresh one where it is left out. */
  valueModel?: RoleStart;
}

export class PPOTrainer extends Trainer<PPOConfig> {
  /** Throws {@link InputError} for settings that make no sense, and for a prompt that does not fit, by its row. */
  constructor(options: PPOTrainerOptions) {
    const { model, rewardFuncs, valueModel } = options;
    const given = resolveConfig<PPOConfig>(PPO, options.args, options.peftConfig);
    requireEstimator(given.klEstimator);
    const { config, notices: ofLength } = withFittingLength(given, options);
    const { klCoef: beta, maxCompletionLength, scoreAfterEos, vfCoef } = config;
    const { tokenizer, prompts, heldOut, notices } = preparePrompts(options, {
      ...config,
      beta,
      betaName: 'klCoef',
    });
    const rewards = weighedRewards([rewardFuncs].flat(), config.rewardWeights);
    const loss = resolveLoss(PPO.family, { ...config, beta, lossType: PPO.family.lossType });
    const valueLoss = resolveLoss(PPO.family, { ...config, beta, lossType: 'ppo_value' });
    const rows = scoreAfterEos ? { states: maxCompletionLength } : 'targets';
    const passes = passSettings(config);
    const maker = new PPOExperience(loss.reads, { reads: valueLoss.reads, rows }, rewards, {
      ...config,
      episodes: config.perDeviceTrainBatchSize * config.gradientAccumulationSteps,
      serves: config.numMiniBatches * config.numPpoEpochs,
    });
    super(options, {
      config,
      settings: PPO.settings,
      loss,
      beside: [{ name: 'value', scorer: scalars(rows), loss: valueLoss, weight: vfCoef, start: valueModel }],
      source: new RolloutSource({ model, tokenizer, prompts, maker, settings: { ...config, ...passes } }),
      evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, { ...config, beta }),
      temperature: config.temperature,
      notices: [...notices, ...ofLength],
    });
  }
}

/** A pass over the batch in `numMiniBatches` optimizer steps, as the source of completions takes it. */
function passSettings({
  perDeviceTrainBatchSize,
  gradientAccumulationSteps,
  numMiniBatches,
  numPpoEpochs,
  numGenerations,
}: PPOConfig) {
  const episodes = perDeviceTrainBatchSize * gradientAccumulationSteps;
  const ofStep = episodes / numMiniBatches;
  const batch = Math.min(perDeviceTrainBatchSize, ofStep);
  const accumulation = ofStep / batch;
  if (!Number.isInteger(ofStep) || !Number.isInteger(accumulation)) {
    const what = say`${setting('numMiniBatches')} is ${numMiniBatches}, and a batch has ${gradientAccumulationSteps} times ${perDeviceTrainBatchSize} completions`;
    throw new InputError('settings', what, 'Give a number that divides them into whole batches');
  }
  if (batch % numGenerations !== 0) {
    const what = say`${setting('numGenerations')} is ${numGenerations}, and ${batch} completions are learned from at a time`;
    throw new InputError('settings', what, 'Give a number that divides them into whole groups');
  }
  return {
    perDeviceTrainBatchSize: batch,
    gradientAccumulationSteps: accumulation,
    stepsPerGeneration: accumulation * numMiniBatches,
    numIterations: numPpoEpochs,
  };
}
