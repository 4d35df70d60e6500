/**
 * REINFORCE leave-one-out (Ahmadian et al. 2024) with TRL's names and defaults: the unbiased solver of objective (1). The policy
 * writes several completions of each prompt, and each learns from its reward, less β times its log-ratio to the reference,
 * compared with those of the others.
 */
import { FAMILIES } from '../losses/families.ts';
import { type RLOOArgs, type RLOOConfig, resolveConfig, resolveLoss, TRAINERS } from '../train/config.ts';
import { Trainer } from '../train/trainer.ts';
import { AGGREGATIONS } from './advantages.ts';
import { policyGradientTask, type RolloutTrainerOptions } from './policy-gradient-task.ts';
import { withFittingLength } from './prepare.ts';

export interface RLOOTrainerOptions extends RolloutTrainerOptions<RLOOArgs> {}

export class RLOOTrainer extends Trainer<RLOOConfig> {
  /** Throws `InputError` for settings that make no sense, and for a prompt that does not fit, by its row. */
  constructor(options: RLOOTrainerOptions) {
    const given = resolveConfig<RLOOConfig>(TRAINERS.rloo, options.args, options.peftConfig);
    const { config, notices } = withFittingLength(given, options);
    const { lossType } = FAMILIES.rloo;
    const { beta: penalty, normalizeAdvantages: normalize } = config;
    const advantages = AGGREGATIONS.sum_then_normalize({ baseline: 'leave_one_out', normalize });
    const loss = resolveLoss(FAMILIES.rloo, { ...config, lossType });
    super(options, policyGradientTask(options, config, { loss, advantages, penalty, notices }));
  }
}
