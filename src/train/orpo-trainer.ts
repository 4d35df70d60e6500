/**
 * Odds-ratio preference optimisation (Hong et al. 2024) on pairs, without a reference, with TRL's names and defaults. The
 * cross-entropy is that of the chosen completion; TRL's takes its prompt in as well.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { type PairDataset, prepareBoth, preparePairs } from './datasets.ts';
import { ORPO, type ORPOArgs, type ORPOConfig } from './settings/orpo.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type ORPOTrainerOptions = DataOptions<ORPOArgs, PairDataset>;

export class ORPOTrainer extends Trainer<ORPOConfig> {
  /** `task`: what was made of the options before. */
  constructor(options: ORPOTrainerOptions, task = atOnce(orpoTask(options))) {
    super(options, task);
  }

  /** The same with the data prepared in slices, between which the event loop is free. Throws the signal's reason. */
  static async create(options: ORPOTrainerOptions, slices?: SliceOptions): Promise<ORPOTrainer> {
    return new ORPOTrainer(options, await inSlices(orpoTask(options), slices));
  }
}

function* orpoTask(options: ORPOTrainerOptions): Sliced<Task<ORPOConfig>> {
  const config = resolveConfig<ORPOConfig>(ORPO, options.args, options.peftConfig);
  const loss = resolveLoss(ORPO.family, { ...config, lossType: ORPO.family.lossType });
  return { config, loss, ...rowsTask(config, yield* prepareBoth(options, config.maxLength, preparePairs)) };
}
