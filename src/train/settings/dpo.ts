/**
 * The settings of DPO.
 */
import type { Values } from '../../base/setting.ts';
import { DPO_FAMILY, PAIR_OPTIONS } from '../../losses/pair-losses.ts';
import { AHEAD, LISTS, LOSS, MOVING, REFERENCE } from './losses.ts';
import {
  ADAPTER,
  type Args,
  COMPLETIONS,
  type CompletionConfig,
  type OptionsOf,
  type OptionValues,
  optionsOf,
  trainer,
} from './trainer.ts';

const SETTINGS = {
  ...COMPLETIONS,
  ...LOSS,
  ...LISTS,
  ...optionsOf(PAIR_OPTIONS, 'dpo', true),
  ...REFERENCE,
  ...MOVING,
  ...AHEAD,
};

export const DPO = trainer({
  family: DPO_FAMILY,
  settings: SETTINGS,
  options: optionsOf(PAIR_OPTIONS, 'dpo', false),
  defaults: {},
  ...ADAPTER,
});

export interface DPOConfig
  extends CompletionConfig,
    Values<typeof LOSS>,
    Values<typeof LISTS>,
    OptionValues<typeof PAIR_OPTIONS, 'dpo'>,
    Values<typeof REFERENCE>,
    Values<typeof MOVING>,
    Values<typeof AHEAD> {}

export type DPOArgs = Args<DPOConfig, typeof SETTINGS & OptionsOf<typeof PAIR_OPTIONS, 'dpo', false>>;
