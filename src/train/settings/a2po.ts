/**
 * The settings of A*-PO, whose policy writes its own completions as those of `rollouts.ts` do. Names and defaults are TRL's.
 */
import { boolean, number, type Values, whole } from '../../base/setting.ts';
import { A2PO_FAMILY } from '../../losses/a2po-loss.ts';
import { type Args, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';
import { WRITTEN } from './written.ts';

/** How V* is estimated, and what is regressed on it. */
const OPTIMAL_VALUES = {
  /** β of the optimal value V*, which is estimated from the reference's completions before training. */
  beta1: number({
    default: 0.5,
    range: { above: 0 },
    group: 'loss',
    trl: 'beta1',
    help: 'β of the optimal value V*, estimated before training',
  }),
  /** β of the implicit reward that is regressed on r − V*: strength of the pull to the reference. */
  beta2: number({
    default: 1e-3,
    range: { above: 0 },
    group: 'loss',
    trl: 'beta2',
    help: 'β of the implicit reward: strength of the pull to the reference',
  }),
  /** Completions of the reference for each prompt, from which V* is estimated. */
  numValueSamples: whole({
    default: 8,
    range: { from: 1, upTo: 2 ** 16 },
    group: 'rollouts',
    trl: 'num_value_samples',
    help: "the reference's completions of each prompt, from which V* is estimated",
  }),
  /** Whether prompts are left out whose reference completions all have reward 0; only where all rewards are 0 or 1. */
  filterAllIncorrect: boolean({
    default: true,
    group: 'rollouts',
    trl: 'filter_all_incorrect',
    help: 'leave out prompts that the reference never solves; only where all rewards are 0 or 1',
    off: 'keep prompts that the reference never solves',
  }),
};

const SETTINGS = { ...TRAINING, ...WRITTEN, ...OPTIMAL_VALUES };

export const A2PO = trainer({
  family: A2PO_FAMILY,
  settings: SETTINGS,
  defaults: { learningRate: 5e-5, maxCompletionLength: 256 },
  adapterDefaults: { learningRate: 5e-4 },
});

export interface A2POConfig extends TrainingConfig, Values<typeof WRITTEN>, Values<typeof OPTIMAL_VALUES> {}

export type A2POArgs = Args<A2POConfig, typeof SETTINGS>;
