/**
 * REINFORCE leave-one-out (Ahmadian et al. 2024) with TRL's names and defaults: the unbiased method for objective (1). The
 * policy generates several completions of each prompt; each learns from its reward minus β times its log-ratio to the
 * reference, compared with the mean of the others.
 */

import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import { RLOO, type RLOOArgs, type RLOOConfig } from '../train/settings/rloo.ts';
import { Trainer } from '../train/trainer.ts';
import { AGGREGATIONS } from './advantages.ts';
import { policyGradientTask, type RolloutTrainerOptions } from './policy-gradient-task.ts';
import { withFittingLength } from './prepare.ts';

export interface RLOOTrainerOptions extends RolloutTrainerOptions<RLOOArgs> {}

export class RLOOTrainer extends Trainer<RLOOConfig> {
  /** Throws `InputError` for invalid settings, and for a prompt that is too long, with its row. */
  constructor(options: RLOOTrainerOptions) {
    const given = resolveConfig<RLOOConfig>(RLOO, options.args, options.peftConfig);
    const { config, notices } = withFittingLength(given, options);
    const { lossType } = RLOO.family;
    const { beta: penalty, normalizeAdvantages: normalize } = config;
    const advantages = AGGREGATIONS.sum_then_normalize({ baseline: 'leave_one_out', normalize });
    const loss = resolveLoss(RLOO.family, { ...config, lossType });
    super(
      options,
      policyGradientTask(options, config, { loss, declared: RLOO.settings, advantages, penalty, notices }),
    );
  }
}
