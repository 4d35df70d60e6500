/**
 * REINFORCE leave-one-out (Ahmadian et al. 2024) with TRL's names and defaults: the unbiased method for objective (1). The
 * policy generates several completions of each prompt; each learns from its reward minus β times its log-ratio to the
 * reference, compared with the mean of the others.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import { RLOO, type RLOOArgs, type RLOOConfig } from '../train/settings/rloo.ts';
import { Trainer } from '../train/trainer.ts';
import type { Task } from '../train/training-task.ts';
import { AGGREGATIONS } from './advantages.ts';
import { policyGradientTask, type RolloutTrainerOptions } from './policy-gradient-task.ts';
import { withFittingLength } from './prepare.ts';

export interface RLOOTrainerOptions extends RolloutTrainerOptions<RLOOArgs> {}

export class RLOOTrainer extends Trainer<RLOOConfig> {
  /**
   * `task`: the result of {@link rlooTask} for the options. Throws `InputError` for invalid settings, and for a prompt that
   * is too long, with its row.
   */
  constructor(options: RLOOTrainerOptions, task: Task<RLOOConfig> = atOnce(rlooTask(options))) {
    super(options, task);
  }

  /** The same, but tokenizes the prompts in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: RLOOTrainerOptions, slices?: SliceOptions): Promise<RLOOTrainer> {
    return new RLOOTrainer(options, await inSlices(rlooTask(options), slices));
  }
}

/** Settings, prompts, rewards and loss of a run. */
export function rlooTask(options: RLOOTrainerOptions): Sliced<Task<RLOOConfig>> {
  const given = resolveConfig<RLOOConfig>(RLOO, options.args, options.peftConfig);
  const { config, notices } = withFittingLength(given, options);
  const { lossType } = RLOO.family;
  const { beta: penalty, normalizeAdvantages: normalize } = config;
  const advantages = AGGREGATIONS.sum_then_normalize({ baseline: 'leave_one_out', normalize });
  const loss = resolveLoss(RLOO.family, { ...config, lossType });
  return policyGradientTask(options, config, { loss, declared: RLOO.settings, advantages, penalty, notices });
}
