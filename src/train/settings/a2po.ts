/**
 * The settings of A*-PO, which samples completions from the policy like the methods of `rollouts.ts`. Names and defaults are TRL's.
 */
import { boolean, number, type Values, whole } from '../../base/setting.ts';
import { A2PO_FAMILY } from '../../losses/a2po-loss.ts';
import { type Args, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';
import { WRITTEN } from './written.ts';

/** The estimate of V*, and the regression on it. */
const OPTIMAL_VALUES = {
  /** β of the optimal value V*, which is estimated from the reference's completions before training. */
  beta1: number({
    default: 0.5,
    range: { above: 0 },
    group: 'loss',
    trl: 'beta1',
    help: 'β of the optimal value V*, estimated before training',
  }),
  /** β of the implicit reward that is regressed on r − V*: how strongly the policy is pulled to the reference. */
  beta2: number({
    default: 1e-3,
    range: { above: 0 },
    group: 'loss',
    trl: 'beta2',
    help: 'β of the implicit reward: how strongly the policy is pulled to the reference',
  }),
  /** Reference completions per prompt, from which V* is estimated. */
  numValueSamples: whole({
    default: 8,
    range: { from: 1, upTo: 2 ** 16 },
    group: 'rollouts',
    trl: 'num_value_samples',
    help: 'reference completions per prompt, from which V* is estimated',
  }),
  /** Whether to drop prompts whose reference completions all have reward 0; only if all rewards are 0 or 1. */
  filterAllIncorrect: boolean({
    default: true,
    group: 'rollouts',
    trl: 'filter_all_incorrect',
    help: 'drop prompts that the reference never solves; only if all rewards are 0 or 1',
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
