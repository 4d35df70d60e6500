/**
 * The settings of supervised fine-tuning.
 */
import type { Values } from '../../base/setting.ts';
import { SFT_FAMILY } from '../../losses/labelled-losses.ts';
import { LENGTH, TEXTS, TURNS } from './losses.ts';
import { type Args, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';

const SETTINGS = { ...TRAINING, ...LENGTH, ...TEXTS };

export const SFT_LORA_LEARNING_RATE = 2e-4;

export const SFT = trainer({
  family: SFT_FAMILY,
  settings: SETTINGS,
  options: TURNS,
  defaults: { learningRate: 2e-5 },
  adapterDefaults: { learningRate: SFT_LORA_LEARNING_RATE },
});

export interface SFTConfig
  extends TrainingConfig,
    Values<typeof LENGTH>,
    Values<typeof TEXTS>,
    Partial<Values<typeof TURNS>> {}

export type SFTArgs = Args<SFTConfig, typeof SETTINGS & typeof TURNS>;
