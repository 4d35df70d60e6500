/**
 * Odds-ratio preference optimisation (Hong et al. 2024) on pairs, without a reference, with TRL's names and defaults. The
 * cross-entropy is that of the chosen completion; TRL's takes its prompt in as well.
 */
import { FAMILIES } from '../losses/families.ts';
import { type ORPOArgs, type ORPOConfig, resolveConfig, resolveLoss, TRAINERS } from './config.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { type DataOptions, rowsTask } from './task.ts';
import { Trainer } from './trainer.ts';

export type ORPOTrainerOptions = DataOptions<ORPOArgs, PairDataset>;

export class ORPOTrainer extends Trainer<ORPOConfig> {
  constructor(options: ORPOTrainerOptions) {
    const config = resolveConfig<ORPOConfig>(TRAINERS.orpo, options.args, options.peftConfig);
    const loss = resolveLoss(FAMILIES.orpo, { ...config, lossType: FAMILIES.orpo.lossType });
    super(options, {
      config,
      loss,
      ...rowsTask(config, prepareBoth(options, config.maxLength, preparePairs)),
    });
  }
}
