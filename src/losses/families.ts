/**
 * All families of losses, by the name of their command. Each is defined beside its losses.
 */
import { A2PO_FAMILY } from './a2po-loss.ts';
import type { Family } from './family.ts';
import { KTO_FAMILY, SFT_FAMILY } from './labelled-losses.ts';
import { CPO_FAMILY, DPO_FAMILY, ONLINE_DPO_FAMILY, ORPO_FAMILY } from './pair-losses.ts';
import { GRPO_FAMILY, RLOO_FAMILY } from './policy-losses.ts';
import { PPO_FAMILY } from './ppo-losses.ts';
import { REWARD_FAMILY } from './reward-losses.ts';

export const FAMILIES = {
  dpo: DPO_FAMILY,
  cpo: CPO_FAMILY,
  orpo: ORPO_FAMILY,
  kto: KTO_FAMILY,
  sft: SFT_FAMILY,
  reward: REWARD_FAMILY,
  rloo: RLOO_FAMILY,
  grpo: GRPO_FAMILY,
  ppo: PPO_FAMILY,
  'online-dpo': ONLINE_DPO_FAMILY,
  a2po: A2PO_FAMILY,
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof FAMILIES;
