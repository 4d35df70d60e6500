/**
 * Direct preference optimization and its variants on pairs, with TRL's names and defaults. `lossType` selects
 * one or several losses.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { MovingReference } from './references/moving-reference.ts';
import type { ReferenceKind } from './references/reference.ts';
import { DPO, type DPOArgs, type DPOConfig } from './settings/dpo.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import type { WithOwnOptions } from './settings/trainer.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type DPOTrainerOptions<Args = DPOArgs> = DataOptions<Args, PairDataset>;

type AnyOptions = DPOTrainerOptions | DPOTrainerOptions<WithOwnOptions<DPOArgs>>;

export class DPOTrainer extends Trainer<DPOConfig> {
  /** `task`: the result of {@link dpoTask} for the options. */
  constructor(options: DPOTrainerOptions, task?: Task<DPOConfig>);
  constructor(options: DPOTrainerOptions<WithOwnOptions<DPOArgs>>, task?: Task<DPOConfig>);
  constructor(options: DPOTrainerOptions, task = atOnce(dpoTask(options))) {
    super(options, task);
  }

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: AnyOptions, slices?: SliceOptions): Promise<DPOTrainer> {
    return new DPOTrainer(options, await inSlices(dpoTask(options), slices));
  }
}

/** Settings, data and loss of a run. Throws an `InputError` if they are invalid. */
export function* dpoTask(options: AnyOptions): Sliced<Task<DPOConfig>> {
  const config = resolveConfig<DPOConfig>(DPO, options.args as DPOArgs, options.peftConfig);
  const loss = resolveLoss(DPO.family, { ...config });
  const { syncRefModel, refModelMixupAlpha: alpha, refModelSyncSteps: everySteps } = config;
  const moving: ReferenceKind = ({ model, parameters }) =>
    new MovingReference(model, parameters, { alpha, everySteps });
  const data = yield* prepareBoth(options, config.maxLength, preparePairs);
  const { precomputeRefLogProbs } = config;
  const reference = syncRefModel ? moving : undefined;
  return { config, loss, ...rowsTask(config, data), reference, precomputeRefLogProbs };
}
