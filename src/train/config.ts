/**
 * A run's configuration: its types, its defaults and what is made of it. The settings are declared in `settings/`.
 */
import { InputError } from '../io/errors.ts';
import { LORA, type LoraConfig } from '../io/lora-settings.ts';
import {
  type Family,
  type LossSettings,
  LossSettingsError,
  lossOf,
  type TrainingLoss,
} from '../losses/families.ts';
import type { Kept } from '../model/decoder.ts';
import {
  type CPOConfig,
  type DPOConfig,
  defaultsOf,
  type KTOConfig,
  type ORPOConfig,
  type RewardConfig,
  type RLOOConfig,
  type SFTConfig,
  TRAINERS,
  type TrainingConfig,
} from './settings/trainers.ts';

export { resolveConfig, resolveLoraConfig } from './settings/resolve.ts';
export {
  type CompletionConfig,
  type CPOArgs,
  type CPOConfig,
  type DPOArgs,
  type DPOConfig,
  type KTOArgs,
  type KTOConfig,
  LORA_LEARNING_RATE,
  type ORPOArgs,
  type ORPOConfig,
  type RewardArgs,
  type RewardConfig,
  type RLOOArgs,
  type RLOOConfig,
  type SFTArgs,
  type SFTConfig,
  TRAINERS,
  type TrainingConfig,
  type WithOwnOptions,
} from './settings/trainers.ts';

/** PEFT's LoRA settings; null trains all weights. */
export type PeftConfig = LoraConfig | null;

// TRL's defaults. The learning rates are those of full training; adapters have larger ones.
export const DPO_DEFAULTS: Readonly<DPOConfig> = defaultsOf(TRAINERS.dpo);
export const CPO_DEFAULTS: Readonly<CPOConfig> = defaultsOf(TRAINERS.cpo);
export const ORPO_DEFAULTS: Readonly<ORPOConfig> = defaultsOf(TRAINERS.orpo);
export const KTO_DEFAULTS: Readonly<KTOConfig> = defaultsOf(TRAINERS.kto);
export const SFT_DEFAULTS: Readonly<SFTConfig> = defaultsOf(TRAINERS.sft);
export const REWARD_DEFAULTS: Readonly<RewardConfig> = defaultsOf(TRAINERS.reward);
export const RLOO_DEFAULTS: Readonly<RLOOConfig> = defaultsOf(TRAINERS.rloo);
export const LORA_DEFAULTS: Readonly<LoraConfig> = defaultsOf({ settings: LORA, defaults: {} });

/** What the decoder keeps of its layers under these settings. */
export function keptActivations({ gradientCheckpointing, savedActivations }: TrainingConfig): Kept {
  return gradientCheckpointing ? 'nothing' : savedActivations;
}

/** The loss that a family makes of a configuration. Throws {@link InputError}. */
export function resolveLoss(family: Family, config: LossSettings): TrainingLoss {
  try {
    return lossOf(family, config);
  } catch (error) {
    if (!(error instanceof LossSettingsError)) throw error;
    throw new InputError('settings', error.what, error.wayOut, { cause: error });
  }
}
