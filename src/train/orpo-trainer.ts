/**
 * Odds-ratio preference optimization (Hong et al. 2024) on pairs, without a reference, with TRL's names and defaults. The
 * cross-entropy covers the chosen completion; TRL's includes the prompt.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { ORPO, type ORPOArgs, type ORPOConfig } from './settings/orpo.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type ORPOTrainerOptions = DataOptions<ORPOArgs, PairDataset>;

export class ORPOTrainer extends Trainer<ORPOConfig> {
  /** `task`: the task made from the options earlier. */
  constructor(options: ORPOTrainerOptions, task = atOnce(orpoTask(options))) {
    super(options, task);
  }

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: ORPOTrainerOptions, slices?: SliceOptions): Promise<ORPOTrainer> {
    return new ORPOTrainer(options, await inSlices(orpoTask(options), slices));
  }
}

function* orpoTask(options: ORPOTrainerOptions): Sliced<Task<ORPOConfig>> {
  const config = resolveConfig<ORPOConfig>(ORPO, options.args, options.peftConfig);
  const loss = resolveLoss(ORPO.family, { ...config, lossType: ORPO.family.lossType });
  return { config, loss, ...rowsTask(config, yield* prepareBoth(options, config.maxLength, preparePairs)) };
}
