/**
 * Direct preference optimisation and its descendants on pairs, with TRL's names and defaults: which objective, or which of
 * them, is `lossType`.
 */
import { exampleOf } from '../data/packing.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { FAMILIES } from '../objectives/families.ts';
import { DPO_DEFAULTS, type DPOConfig, resolveConfig, resolveLoss } from './config.ts';
import { type PairDataset, preparePairs } from './pair-dataset.ts';
import { Trainer, type TrainerOptions } from './trainer.ts';

export interface DPOTrainerOptions extends TrainerOptions {
  /** Settings; TRL's defaults for what is left out. */
  args?: Partial<DPOConfig>;
  trainDataset: PairDataset;
  evalDataset?: PairDataset;
  /** The model's tokenizer; needed for rows. */
  processingClass?: Tokenizer;
}

export class DPOTrainer extends Trainer<DPOConfig> {
  constructor(options: DPOTrainerOptions) {
    const { args = {}, model, peftConfig, processingClass } = options;
    const config = resolveConfig(args, DPO_DEFAULTS, { lora: peftConfig !== null });
    const loss = resolveLoss(FAMILIES.dpo, { ...config });
    const [train, evaluation] = [options.trainDataset, options.evalDataset ?? []].map((dataset) =>
      preparePairs(dataset, model, processingClass, config.maxLength),
    );
    super(options, {
      config,
      loss,
      train: train.pairs.map(exampleOf),
      evaluation: evaluation.pairs.map(exampleOf),
      notices: [...train.notices, ...evaluation.notices],
    });
  }
}
