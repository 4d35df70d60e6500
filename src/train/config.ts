/**
 * A run's configuration: types and defaults. The settings are declared in `settings/`, from where each trainer imports its own;
 * this file combines all of them.
 */
import { LORA, type LoraConfig } from '../io/lora-settings.ts';
import { A2PO, type A2POConfig } from './settings/a2po.ts';
import { CPO, type CPOConfig } from './settings/cpo.ts';
import { DPO, type DPOConfig } from './settings/dpo.ts';
import { GRPO, type GRPOConfig } from './settings/grpo.ts';
import { KTO, type KTOConfig } from './settings/kto.ts';
import { ONLINE_DPO, type OnlineDPOConfig } from './settings/online-dpo.ts';
import { ORPO, type ORPOConfig } from './settings/orpo.ts';
import { PPO, type PPOConfig } from './settings/ppo.ts';
import { REWARD_MODEL, type RewardConfig } from './settings/reward.ts';
import { RLOO, type RLOOConfig } from './settings/rloo.ts';
import { SFT, type SFTConfig } from './settings/sft.ts';
import { defaultsOf } from './settings/trainer.ts';

export type { A2POArgs, A2POConfig } from './settings/a2po.ts';
export type { CPOArgs, CPOConfig } from './settings/cpo.ts';
export type { DPOArgs, DPOConfig } from './settings/dpo.ts';
export type { GRPOArgs, GRPOConfig } from './settings/grpo.ts';
export type { KTOArgs, KTOConfig } from './settings/kto.ts';
export type { OnlineDPOArgs, OnlineDPOConfig } from './settings/online-dpo.ts';
export type { ORPOArgs, ORPOConfig } from './settings/orpo.ts';
export type { PPOArgs, PPOConfig } from './settings/ppo.ts';
export { resolveConfig, resolveLoraConfig, resolveLoss } from './settings/resolve.ts';
export type { RewardArgs, RewardConfig } from './settings/reward.ts';
export type { RLOOArgs, RLOOConfig } from './settings/rloo.ts';
export type { SFTArgs, SFTConfig } from './settings/sft.ts';
export {
  type CompletionConfig,
  LORA_LEARNING_RATE,
  type TrainingConfig,
  type WithOwnOptions,
} from './settings/trainer.ts';
export { TRAINERS } from './settings/trainers.ts';

/** PEFT's LoRA settings; null trains all weights. */
export type PeftConfig = LoraConfig | null;

// TRL's defaults. The learning rates are those of full training; adapters use larger ones.
export const DPO_DEFAULTS: Readonly<DPOConfig> = defaultsOf(DPO);
export const CPO_DEFAULTS: Readonly<CPOConfig> = defaultsOf(CPO);
export const ORPO_DEFAULTS: Readonly<ORPOConfig> = defaultsOf(ORPO);
export const KTO_DEFAULTS: Readonly<KTOConfig> = defaultsOf(KTO);
export const SFT_DEFAULTS: Readonly<SFTConfig> = defaultsOf(SFT);
export const REWARD_DEFAULTS: Readonly<RewardConfig> = defaultsOf(REWARD_MODEL);
export const ONLINE_DPO_DEFAULTS: Readonly<OnlineDPOConfig> = defaultsOf(ONLINE_DPO);
export const A2PO_DEFAULTS: Readonly<A2POConfig> = defaultsOf(A2PO);
export const RLOO_DEFAULTS: Readonly<RLOOConfig> = defaultsOf(RLOO);
export const GRPO_DEFAULTS: Readonly<GRPOConfig> = defaultsOf(GRPO);
export const PPO_DEFAULTS: Readonly<PPOConfig> = defaultsOf(PPO);
export const LORA_DEFAULTS: Readonly<LoraConfig> = defaultsOf({ settings: LORA, defaults: {} });
