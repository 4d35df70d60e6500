/** DPO on the latest picks, on the library's trainer: its loss and settings are those of DPO, its source is the person. */
import type { TokenizedExample } from 'webalign/data';
import {
  type DPOConfig,
  LossEvaluation,
  resolveConfig,
  resolveLoss,
  TRAINERS,
  Trainer,
  type TrainerOptions,
} from 'webalign/trainers';
import { type PickSettings, PickSource } from './pick-source.ts';

/** A run ends when its person ends it; the library wants a number, and a sitting stays far below. */
const MOST_STEPS = 100_000;

export interface PickTrainerOptions extends TrainerOptions {
  /** Under TRL's names; `numTrainEpochs` is how many steps each batch of picks is given. */
  args: Readonly<Record<string, unknown>>;
  heldOut: readonly TokenizedExample[];
  planned: PickSettings['planned'];
}

export class PickTrainer extends Trainer<DPOConfig> {
  readonly picks: PickSource;

  /** Throws `InputError` for settings that make no sense. */
  constructor({ args, heldOut, planned, ...options }: PickTrainerOptions) {
    const { numTrainEpochs, ...given } = args;
    const own = { maxSteps: MOST_STEPS, lrSchedulerType: 'constant', warmupRatio: 0, saveSteps: 1 };
    const config = resolveConfig<DPOConfig>(TRAINERS.dpo, { ...given, ...own }, options.peftConfig);
    const passes = Math.max(1, Math.round(Number(numTrainEpochs ?? 1)));
    const picks = new PickSource({ batchSize: config.perDeviceTrainBatchSize, passes, planned });
    super(options, {
      config,
      source: picks,
      evaluation: new LossEvaluation(heldOut, config.perDeviceEvalBatchSize),
      notices: [],
      loss: resolveLoss(TRAINERS.dpo.family, { ...config }),
    });
    this.picks = picks;
  }
}
