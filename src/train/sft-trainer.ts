/**
 * Supervised fine-tuning on texts, conversations, or prompts and completions, with TRL's names and defaults.
 */
import { FAMILIES } from '../losses/families.ts';
import { resolveConfig, resolveLoss, type SFTArgs, type SFTConfig, TRAINERS } from './config.ts';
import { prepareBoth, prepareTexts, type TextDataset } from './datasets.ts';
import { type DataOptions, rowsTask } from './task.ts';
import { Trainer } from './trainer.ts';

export type SFTTrainerOptions = DataOptions<SFTArgs, TextDataset>;

export class SFTTrainer extends Trainer<SFTConfig> {
  constructor(options: SFTTrainerOptions) {
    const config = resolveConfig<SFTConfig>(TRAINERS.sft, options.args, options.peftConfig);
    const loss = resolveLoss(FAMILIES.sft, { lossType: FAMILIES.sft.lossType });
    const { completionOnlyLoss, assistantOnlyLoss = false } = config;
    const data = prepareBoth(options, config.maxLength, (dataset: TextDataset, context) =>
      prepareTexts(dataset, { ...context, completionOnlyLoss, assistantOnlyLoss }),
    );
    super(options, { config, loss, ...rowsTask(config, data) });
  }
}
