/**
 * The settings of GRPO.
 */
import type { Values } from '../../base/setting.ts';
import { GRPO_FAMILY, POLICY_OPTIONS } from '../../losses/policy-losses.ts';
import { LOSS, MOVING } from './losses.ts';
import { GROUP_RELATIVE, ROLLOUTS } from './rollouts.ts';
import {
  ADAPTER,
  type Args,
  type OptionsOf,
  type OptionValues,
  optionsOf,
  type TrainingConfig,
  trainer,
} from './trainer.ts';
import { TRAINING } from './training.ts';

const SETTINGS = {
  ...TRAINING,
  ...LOSS,
  ...ROLLOUTS,
  ...GROUP_RELATIVE,
  ...MOVING,
  ...optionsOf(POLICY_OPTIONS, 'grpo', true),
};

export const GRPO = trainer({
  family: GRPO_FAMILY,
  settings: SETTINGS,
  options: optionsOf(POLICY_OPTIONS, 'grpo', false),
  defaults: { lossType: GRPO_FAMILY.lossType, beta: 0, numGenerations: 8 },
  ...ADAPTER,
});

export interface GRPOConfig
  extends TrainingConfig,
    Values<typeof LOSS>,
    Values<typeof ROLLOUTS>,
    Values<typeof GROUP_RELATIVE>,
    Values<typeof MOVING>,
    OptionValues<typeof POLICY_OPTIONS, 'grpo'> {}

export type GRPOArgs = Args<GRPOConfig, typeof SETTINGS & OptionsOf<typeof POLICY_OPTIONS, 'grpo', false>>;
