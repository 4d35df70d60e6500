/**
 * All losses as data: a formula in WGSL, its options and its metrics. A new loss is one `.wgsl`
 * file and one row in one of the lists that are combined here. A user-defined loss is the same kind of row, made with
 * {@link lossShader}. No code depends on a loss's name. Trainers import only their own lists, so that a page
 * loads only those.
 */
import { A2PO_LOSSES } from './a2po-loss.ts';
import { LABELLED_LOSSES, LABELLED_OPTIONS } from './labelled-losses.ts';
import type { Loss } from './loss.ts';
import { PAIR_LOSSES, PAIR_OPTIONS } from './pair-losses.ts';
import { POLICY_LOSSES, POLICY_OPTIONS } from './policy-losses.ts';
import { PPO_LOSSES, PPO_OPTIONS } from './ppo-losses.ts';
import { REWARD_LOSSES, REWARD_OPTIONS } from './reward-losses.ts';

/**
 * The options that are settings of trainers, in their order there. A formula reads those that its row names; the row
 * may override a default or a range.
 */
export const OPTIONS = {
  ...PAIR_OPTIONS,
  ...LABELLED_OPTIONS,
  ...REWARD_OPTIONS,
  ...POLICY_OPTIONS,
  ...PPO_OPTIONS,
};

const ALL = [
  ...PAIR_LOSSES,
  ...LABELLED_LOSSES,
  ...REWARD_LOSSES,
  ...POLICY_LOSSES,
  ...PPO_LOSSES,
  ...A2PO_LOSSES,
];

/** All of them, by name. */
export const LOSSES: Readonly<Record<string, Loss>> = Object.fromEntries(
  ALL.map((loss) => [loss.name, loss]),
);
