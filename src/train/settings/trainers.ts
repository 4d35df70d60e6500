/**
 * The settings of all trainers. A new trainer is one more row here, and its own file with its groups of settings and the
 * defaults that differ from the declarations. The order of its table is the order of the run's configuration, by which checkpoints are
 * identified.
 */
import { OPTIONS } from '../../losses/catalogue.ts';
import type { FamilyName } from '../../losses/families.ts';
import { A2PO } from './a2po.ts';
import { CPO } from './cpo.ts';
import { DPO } from './dpo.ts';
import { GRPO } from './grpo.ts';
import { KTO } from './kto.ts';
import { TURNS } from './losses.ts';
import { ONLINE_DPO } from './online-dpo.ts';
import { ORPO } from './orpo.ts';
import { PPO } from './ppo.ts';
import { REWARD_MODEL } from './reward.ts';
import { RLOO } from './rloo.ts';
import { SFT } from './sft.ts';
import type { TrainerSettings } from './trainer.ts';

/** The trainers, by the name of their command. */
export const TRAINERS = {
  dpo: DPO,
  cpo: CPO,
  orpo: ORPO,
  kto: KTO,
  sft: SFT,
  reward: REWARD_MODEL,
  rloo: RLOO,
  grpo: GRPO,
  ppo: PPO,
  'online-dpo': ONLINE_DPO,
  a2po: A2PO,
} as const satisfies Record<FamilyName, TrainerSettings>;

/** The settings of all trainers together. */
export const ALL_SETTINGS = {
  ...PPO.settings,
  ...RLOO.settings,
  ...GRPO.settings,
  ...ONLINE_DPO.settings,
  ...A2PO.settings,
  ...REWARD_MODEL.settings,
  ...DPO.settings,
  ...CPO.settings,
  ...ORPO.settings,
  ...KTO.settings,
  ...SFT.settings,
  ...TURNS,
  ...OPTIONS,
};
