/**
 * The settings of CPO and SimPO.
 */
import type { Values } from '../../base/setting.ts';
import { CPO_FAMILY, PAIR_OPTIONS } from '../../losses/pair-losses.ts';
import { LOSS } from './losses.ts';
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

const SETTINGS = { ...COMPLETIONS, ...LOSS, ...optionsOf(PAIR_OPTIONS, 'cpo', true) };

export const CPO = trainer({
  family: CPO_FAMILY,
  settings: SETTINGS,
  options: optionsOf(PAIR_OPTIONS, 'cpo', false),
  defaults: { lossType: CPO_FAMILY.lossType },
  ...ADAPTER,
});

export interface CPOConfig
  extends CompletionConfig,
    Values<typeof LOSS>,
    OptionValues<typeof PAIR_OPTIONS, 'cpo'> {}

export type CPOArgs = Args<CPOConfig, typeof SETTINGS & OptionsOf<typeof PAIR_OPTIONS, 'cpo', false>>;
