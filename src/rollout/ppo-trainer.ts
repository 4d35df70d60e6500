/**
 * PPO (Schulman et al. 2017; Ouyang et al. 2022) with the names and defaults of TRL 1.12. The policy generates a completion
 * of each prompt; a value model, an adapter with a head on the same base, estimates the value of each state; tokens learn
 * from their advantages over several passes, with clipped ratios and values.
 */
import { say, setting } from '../base/sentence.ts';
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import { InputError } from '../io/errors.ts';
import type { RoleStart } from '../train/roles.ts';
import { scalars } from '../train/scorer.ts';
import { PPO, type PPOArgs, type PPOConfig } from '../train/settings/ppo.ts';
import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import { Trainer } from '../train/trainer.ts';
import type { DataOptions, Task } from '../train/training-task.ts';
import { RewardEvaluation } from './evaluation.ts';
import { PPOExperience, requireEstimator } from './ppo-experience.ts';
import { preparedPrompts, withFittingLength } from './prepare.ts';
import { type Reward, weighedRewards } from './rewards.ts';
import { RolloutSource } from './source.ts';

export interface PPOTrainerOptions extends DataOptions<PPOArgs, readonly PromptRow[]> {
  /** The reward functions; several are summed with `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
  /** The initial value model, such as the adapter and head of a reward model; default: a new one. */
  valueModel?: RoleStart;
}

export class PPOTrainer extends Trainer<PPOConfig> {
  /**
   * `task`: the result of {@link ppoTask} for the options. Throws {@link InputError} for invalid settings, and for a prompt
   * that is too long, with its row.
   */
  constructor(options: PPOTrainerOptions, task: Task<PPOConfig> = atOnce(ppoTask(options))) {
    super(options, task);
  }

  /** The same, but tokenizes the prompts in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: PPOTrainerOptions, slices?: SliceOptions): Promise<PPOTrainer> {
    return new PPOTrainer(options, await inSlices(ppoTask(options), slices));
  }
}

/** Settings, prompts, rewards and loss of a run. */
export function* ppoTask(options: PPOTrainerOptions): Sliced<Task<PPOConfig>> {
  const { model, rewardFuncs, valueModel } = options;
  const given = resolveConfig<PPOConfig>(PPO, options.args, options.peftConfig);
  requireEstimator(given.klEstimator);
  const { config, notices: ofLength } = withFittingLength(given, options);
  const { klCoef: beta, maxCompletionLength, scoreAfterEos, vfCoef } = config;
  const { tokenizer, prompts, heldOut, notices } = yield* preparedPrompts(options, {
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
  return {
    config,
    settings: PPO.settings,
    loss,
    beside: [{ name: 'value', scorer: scalars(rows), loss: valueLoss, weight: vfCoef, start: valueModel }],
    source: new RolloutSource({ model, tokenizer, prompts, maker, settings: { ...config, ...passes } }),
    evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, { ...config, beta }),
    temperature: config.temperature,
    notices: [...notices, ...ofLength],
  };
}

/** Settings of the source for one pass over the batch in `numMiniBatches` optimizer steps. */
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
    const what = say`${setting('numMiniBatches')} is ${numMiniBatches}, but a batch has ${gradientAccumulationSteps} times ${perDeviceTrainBatchSize} completions`;
    throw new InputError('settings', what, 'Give a divisor of this number');
  }
  if (batch % numGenerations !== 0) {
    const what = say`${setting('numGenerations')} is ${numGenerations}, but an optimizer step has ${batch} completions`;
    throw new InputError('settings', what, 'Give a divisor of this number');
  }
  return {
    perDeviceTrainBatchSize: batch,
    gradientAccumulationSteps: accumulation,
    stepsPerGeneration: accumulation * numMiniBatches,
    numIterations: numPpoEpochs,
  };
}
