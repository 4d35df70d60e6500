/**
 * The settings of RLOO.
 */
import type { Values } from '../../base/setting.ts';
import { POLICY_OPTIONS, RLOO_FAMILY } from '../../losses/policy-losses.ts';
import { RETURNS, ROLLOUTS } from './rollouts.ts';
import { ADAPTER, type Args, type OptionValues, optionsOf, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';

const SETTINGS = { ...TRAINING, ...ROLLOUTS, ...RETURNS, ...optionsOf(POLICY_OPTIONS, 'rloo', true) };

export const RLOO = trainer({
  family: RLOO_FAMILY,
  settings: SETTINGS,
  options: optionsOf(POLICY_OPTIONS, 'rloo', false),
  defaults: {},
  ...ADAPTER,
});

export interface RLOOConfig
  extends TrainingConfig,
    Values<typeof ROLLOUTS>,
    Values<typeof RETURNS>,
    OptionValues<typeof POLICY_OPTIONS, 'rloo'> {}

export type RLOOArgs = Args<RLOOConfig, typeof SETTINGS>;
