/**
 * The settings of KTO.
 */
import type { Values } from '../../base/setting.ts';
import { KTO_FAMILY, LABELLED_OPTIONS } from '../../losses/labelled-losses.ts';
import { AHEAD, LOSS } from './losses.ts';
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

const SETTINGS = { ...COMPLETIONS, ...LOSS, ...optionsOf(LABELLED_OPTIONS, 'kto', true), ...AHEAD };

export const KTO = trainer({
  family: KTO_FAMILY,
  settings: SETTINGS,
  options: optionsOf(LABELLED_OPTIONS, 'kto', false),
  defaults: { lossType: KTO_FAMILY.lossType },
  ...ADAPTER,
});

export interface KTOConfig
  extends CompletionConfig,
    Values<typeof LOSS>,
    OptionValues<typeof LABELLED_OPTIONS, 'kto'>,
    Values<typeof AHEAD> {}

export type KTOArgs = Args<KTOConfig, typeof SETTINGS & OptionsOf<typeof LABELLED_OPTIONS, 'kto', false>>;
