/**
 * The losses as data, all of them: a formula in WGSL, its options and its way into the metrics. A new loss is one `.wgsl`
 * file and one row in one of the lists that are put together here; a user's own is the same row, made outside with
 * {@link lossShader}. Nothing in the library asks a loss for its name. Trainers import the lists that they train with, so that a page
 * loads those alone.
 */
import { A2PO_LOSSES } from './a2po-loss.ts';
import { LABELLED_LOSSES, LABELLED_OPTIONS } from './labelled-losses.ts';
import type { Loss } from './loss.ts';
import { PAIR_LOSSES, PAIR_OPTIONS } from './pair-losses.ts';
import { POLICY_LOSSES, POLICY_OPTIONS } from './policy-losses.ts';
import { PPO_LOSSES, PPO_OPTIONS } from './ppo-losses.ts';
import { REWARD_LOSSES, REWARD_OPTIONS } from './reward-losses.ts';

/**
 * The options that trainers have as settings, in their order there. A formula reads those that its row names, and its row
 * may give one a default or a range of its own.
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
