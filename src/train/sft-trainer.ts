/**
 * Supervised fine-tuning on texts, conversations, or prompts and completions, with TRL's names and defaults.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { prepareBoth, prepareTexts, type TextDataset } from './datasets.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import { SFT, type SFTArgs, type SFTConfig } from './settings/sft.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type SFTTrainerOptions = DataOptions<SFTArgs, TextDataset>;

export class SFTTrainer extends Trainer<SFTConfig> {
  /** `task`: the task made from the options earlier. */
  constructor(options: SFTTrainerOptions, task = atOnce(sftTask(options))) {
    super(options, task);
  }

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: SFTTrainerOptions, slices?: SliceOptions): Promise<SFTTrainer> {
    return new SFTTrainer(options, await inSlices(sftTask(options), slices));
  }
}

function* sftTask(options: SFTTrainerOptions): Sliced<Task<SFTConfig>> {
  const config = resolveConfig<SFTConfig>(SFT, options.args, options.peftConfig);
  const loss = resolveLoss(SFT.family, { lossType: SFT.family.lossType });
  const { completionOnlyLoss, assistantOnlyLoss = false } = config;
  const data = yield* prepareBoth(options, config.maxLength, (dataset: TextDataset, context) =>
    prepareTexts(dataset, { ...context, completionOnlyLoss, assistantOnlyLoss }),
  );
  return { config, loss, ...rowsTask(config, data) };
}
