/**
 * The settings of reward models.
 */
import type { Values } from '../../base/setting.ts';
import { REWARD_FAMILY, REWARD_OPTIONS } from '../../losses/reward-losses.ts';
import { COMPARISON, LENGTH } from './losses.ts';
import { type Args, type OptionValues, optionsOf, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';

const SETTINGS = { ...TRAINING, ...LENGTH, ...COMPARISON, ...optionsOf(REWARD_OPTIONS, 'reward', true) };

/** With an adapter and without. */
export const REWARD_LEARNING_RATE = 1e-4;

export const REWARD_MODEL = trainer({
  family: REWARD_FAMILY,
  settings: SETTINGS,
  options: optionsOf(REWARD_OPTIONS, 'reward', false),
  defaults: { learningRate: REWARD_LEARNING_RATE },
  adapterDefaults: {},
});

export interface RewardConfig
  extends TrainingConfig,
    Values<typeof LENGTH>,
    Values<typeof COMPARISON>,
    OptionValues<typeof REWARD_OPTIONS, 'reward'> {}

export type RewardArgs = Args<RewardConfig, typeof SETTINGS>;
