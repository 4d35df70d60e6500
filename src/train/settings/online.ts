/**
 * The settings of online DPO and of A*-PO, whose policies write their own completions as those of `rollouts.ts` do. Names and
 * defaults are TRL's.
 */
import { boolean, choice, number, whole } from '../../base/setting.ts';
import { ENDING, ROLLOUTS } from './rollouts.ts';

const {
  numGenerationsEval,
  maxCompletionLength,
  temperature,
  stepsPerGeneration,
  numIterations,
  rewardWeights,
  rewardTimeout,
} = ROLLOUTS;

/** What both share with the other trainers on rollouts. */
export const WRITTEN = {
  numGenerationsEval,
  maxCompletionLength,
  temperature,
  stepsPerGeneration,
  numIterations,
  rewardWeights,
  rewardTimeout,
};

/** How the two completions of a prompt become a pair. */
export const LABELS = {
  /** `greedy`: the better one is chosen. `sampled`: the first is chosen with probability σ(r₁ − r₂). */
  labels: choice(['greedy', 'sampled'], {
    default: 'greedy',
    group: 'rollouts',
    trl: null,
    help: 'greedy chooses the completion of higher reward; sampled draws the choice with probability σ(r₁ − r₂)',
  }),
  ...ENDING,
};

/** How V* is estimated, and what is regressed on it. */
export const OPTIMAL_VALUES = {
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
