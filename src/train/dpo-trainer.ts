/**
 * Direct preference optimisation and its descendants on pairs, with TRL's names and defaults: which loss, or which of
 * them, is `lossType`.
 */
import { FAMILIES } from '../losses/families.ts';
import {
  type DPOArgs,
  type DPOConfig,
  resolveConfig,
  resolveLoss,
  TRAINERS,
  type WithOwnOptions,
} from './config.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { MovingReference } from './moving-reference.ts';
import type { ReferenceKind } from './reference.ts';
import { type DataOptions, rowsTask } from './task.ts';
import { Trainer } from './trainer.ts';

export type DPOTrainerOptions<Args = DPOArgs> = DataOptions<Args, PairDataset>;

export class DPOTrainer extends Trainer<DPOConfig> {
  constructor(options: DPOTrainerOptions);
  constructor(options: DPOTrainerOptions<WithOwnOptions<DPOArgs>>);
  constructor(options: DPOTrainerOptions) {
    const config = resolveConfig<DPOConfig>(TRAINERS.dpo, options.args, options.peftConfig);
    const loss = resolveLoss(FAMILIES.dpo, { ...config });
    const { syncRefModel, refModelMixupAlpha: alpha, refModelSyncSteps: everySteps } = config;
    const moving: ReferenceKind = ({ model, parameters }) =>
      new MovingReference(model, parameters, { alpha, everySteps });
    super(options, {
      config,
      loss,
      ...rowsTask(config, prepareBoth(options, config.maxLength, preparePairs)),
      reference: syncRefModel ? moving : undefined,
    });
  }
}
