/**
 * Contrastive preference optimization (Xu et al. 2024) and SimPO (Meng et al. 2024) on pairs, without a reference, with
 * TRL's names and defaults.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { CPO, type CPOArgs, type CPOConfig } from './settings/cpo.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import type { WithOwnOptions } from './settings/trainer.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type CPOTrainerOptions<Args = CPOArgs> = DataOptions<Args, PairDataset>;

type AnyOptions = CPOTrainerOptions | CPOTrainerOptions<WithOwnOptions<CPOArgs>>;

export class CPOTrainer extends Trainer<CPOConfig> {
  /** `task`: the task made from the options earlier. */
  constructor(options: CPOTrainerOptions, task?: Task<CPOConfig>);
  constructor(options: CPOTrainerOptions<WithOwnOptions<CPOArgs>>, task?: Task<CPOConfig>);
  constructor(options: CPOTrainerOptions, task = atOnce(cpoTask(options))) {
    super(options, task);
  }

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: AnyOptions, slices?: SliceOptions): Promise<CPOTrainer> {
    return new CPOTrainer(options, await inSlices(cpoTask(options), slices));
  }
}

function* cpoTask(options: AnyOptions): Sliced<Task<CPOConfig>> {
  const config = resolveConfig<CPOConfig>(CPO, options.args as CPOArgs, options.peftConfig);
  const loss = resolveLoss(CPO.family, { ...config });
  return { config, loss, ...rowsTask(config, yield* prepareBoth(options, config.maxLength, preparePairs)) };
}
