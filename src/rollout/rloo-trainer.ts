/**
 * REINFORCE leave-one-out (Ahmadian et al. 2024) with TRL's names and defaults: the unbiased solver of objective (1). The policy
 * writes several completions of each prompt, and each learns from its reward, less β times its log-ratio to the reference,
 * compared with those of the others.
 */
import type { PromptRow } from '../data/prompt-dataset.ts';
import { InputError } from '../io/errors.ts';
import { FAMILIES } from '../losses/families.ts';
import { type RLOOArgs, type RLOOConfig, resolveConfig, resolveLoss, TRAINERS } from '../train/config.ts';
import type { DataOptions } from '../train/task.ts';
import { Trainer } from '../train/trainer.ts';
import { RewardEvaluation } from './evaluation.ts';
import { type Reward, rewardNotices, weighedRewards } from './rewards.ts';
import { repeatedPrompts, samplingNotices, tokenizePrompts } from './sampling.ts';
import { RolloutSource } from './source.ts';

export interface RLOOTrainerOptions extends DataOptions<RLOOArgs, readonly PromptRow[]> {
  /** What completions are rated by; several add up by `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
}

export class RLOOTrainer extends Trainer<RLOOConfig> {
  /** Throws {@link InputError} for settings that make no sense, and for a prompt that does not fit, by its row. */
  constructor(options: RLOOTrainerOptions) {
    const { model, processingClass: tokenizer, trainDataset, evalDataset = [], rewardFuncs } = options;
    const given = resolveConfig<RLOOConfig>(TRAINERS.rloo, options.args, options.peftConfig);
    const { maxPositionEmbeddings } = model.config;
    if (!tokenizer)
      throw new InputError('training data', 'is text, and no tokenizer was given', 'Give a processingClass');
    const { length: maxCompletionLength, notice } = fittingLength(
      given.maxCompletionLength,
      options.args,
      maxPositionEmbeddings,
    );
    const config = { ...given, maxCompletionLength };
    const prompts = tokenizePrompts(trainDataset, tokenizer, model, maxCompletionLength);
    const heldOut = tokenizePrompts(evalDataset, tokenizer, model, maxCompletionLength);
    const rewards = weighedRewards([rewardFuncs].flat(), config.rewardWeights);
    const epsilonHigh = config.epsilonHigh ?? config.epsilon;
    super(options, {
      config,
      loss: resolveLoss(FAMILIES.rloo, { ...config, epsilonHigh, lossType: FAMILIES.rloo.lossType }),
      source: new RolloutSource({
        model,
        tokenizer,
        prompts,
        rewards,
        baseline: 'leave_one_out',
        settings: config,
      }),
      evaluation: new RewardEvaluation(model, tokenizer, heldOut, rewards, config),
      temperature: config.temperature,
      notices: [
        ...samplingNotices(model),
        ...rewardNotices([rewardFuncs].flat(), tokenizer),
        repeatedPrompts(prompts),
        notice,
      ].filter((line) => line !== undefined),
    });
  }
}

/** TRL's default of 512 new tokens shrinks to half of the model's positions where it would leave no room for a prompt. */
function fittingLength(
  wanted: number,
  given: RLOOArgs | undefined,
  positions: number,
): { length: number; notice?: string } {
  const most = Math.floor(positions / 2);
  const isChosen = (given?.maxCompletionLength ?? given?.max_completion_length) !== undefined;
  if (isChosen || wanted <= most) return { length: wanted };
  const notice = `maxCompletionLength is ${most}: the model has ${positions} positions, and prompts need some.`;
  return { length: most, notice };
}
