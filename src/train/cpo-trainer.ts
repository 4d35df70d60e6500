/**
 * Contrastive preference optimisation (Xu et al. 2024) and SimPO (Meng et al. 2024) on pairs, without a reference, with
 * TRL's names and defaults.
 */
import { FAMILIES } from '../losses/families.ts';
import {
  type CPOArgs,
  type CPOConfig,
  resolveConfig,
  resolveLoss,
  TRAINERS,
  type WithOwnOptions,
} from './config.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { type DataOptions, rowsTask } from './task.ts';
import { Trainer } from './trainer.ts';

export type CPOTrainerOptions<Args = CPOArgs> = DataOptions<Args, PairDataset>;

export class CPOTrainer extends Trainer<CPOConfig> {
  constructor(options: CPOTrainerOptions);
  constructor(options: CPOTrainerOptions<WithOwnOptions<CPOArgs>>);
  constructor(options: CPOTrainerOptions) {
    const config = resolveConfig<CPOConfig>(TRAINERS.cpo, options.args, options.peftConfig);
    const loss = resolveLoss(FAMILIES.cpo, { ...config });
    super(options, {
      config,
      loss,
      ...rowsTask(config, prepareBoth(options, config.maxLength, preparePairs)),
    });
  }
}
