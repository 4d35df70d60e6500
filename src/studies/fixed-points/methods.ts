/**
 * The methods, one row each: a loss of the catalogue, the batch with its expected gradient under a policy, and the
 * predicted fixed point.
 */

import { FAMILIES, type LossSettings, lossOf, type TrainingLoss } from 'webalign/losses';
import { LABEL_RULES } from 'webalign/rollouts';
import {
  type BatchRule,
  estimatedAdvantages,
  exactValues,
  labelledPairs,
  policyGradient,
  regressed,
} from './batches.ts';
import { groupsOfTwo, largeGroups, meanOfOthers, perToken } from './expected.ts';
import { balanced, collapsed, withValues } from './predictions.ts';
import { optimumOf, type Problem, returnsOf } from './problem.ts';

export interface Method {
  /** Name of its stored results. */
  id: string;
  name: string;
  /** What its gradient optimizes, in a sentence or two. */
  remark: string;
  loss(problem: Problem): TrainingLoss;
  /** The batch whose gradient is the expected one under this policy. */
  batch: BatchRule;
  /** The predicted J, computed without its loss, and how. */
  predicted: Prediction;
  /** Overrides the common value. */
  adamBeta2?: number;
}

export interface Prediction {
  how: string;
  objective(problem: Problem): number;
}

const rewardsOf = ({ rewards }: Problem) => rewards;

/** A loss of GRPO with β in the loss, or in the rewards. */
const grpo =
  (settings: Partial<LossSettings>) =>
  ({ beta }: Problem) =>
    lossOf(FAMILIES.grpo, { lossType: 'dapo', beta, ...settings });

const BEST = { how: 'β log Z', objective: optimumOf };
const K2 = 'π ∝ π_ref e^(Q/β) at every prefix, Q = the expected reward from there';
const COLLAPSE: Prediction = {
  how: 'all probability on the best completion',
  objective: collapsed,
};

/** Groups of two as in TRL's GRPO. */
const standardized = { baseline: 'group_mean', scale: 'group' } as const;
const dapoPairs = groupsOfTwo(standardized, 'rollout');
const paperPairs = groupsOfTwo(standardized, 'sequence');
const meanPairs = groupsOfTwo({ baseline: 'group_mean' }, 'sum');

const onlineDpo = ({ beta }: Problem) => lossOf(FAMILIES['online-dpo'], { lossType: 'sigmoid', beta });
const a2po = ({ beta }: Problem) => lossOf(FAMILIES.a2po, { lossType: 'a2po', beta });

/** Wrong by ±1 alternately, at every prefix. */
const wrongValues = ({ prefixes }: Problem) => prefixes.map((_, row) => (row % 2 === 0 ? 1 : -1));

/** PPO with fixed values. */
const ppo = ([lam, remark]: (typeof LAMBDAS)[number]): Method => ({
  id: `ppo-${lam}`,
  name: `PPO, λ = ${lam}, wrong values`,
  remark,
  loss: ({ beta }) => lossOf(FAMILIES.ppo, { lossType: 'ppo', beta }),
  batch: estimatedAdvantages(wrongValues, lam),
  predicted: {
    how: 'π ∝ π_ref e^(Q/β), Q = (1 − λ) V + λ β log Z of the prefix after the token',
    objective: (problem) => withValues(problem, wrongValues(problem), lam),
  },
});

/** Values of λ, with a remark on each. */
const LAMBDAS: readonly (readonly [lam: number, remark: string])[] = [
  [
    1,
    'All later rewards count as observed, and the value is only a baseline, so wrong values have no effect.',
  ],
  [
    0.95,
    'TRL’s default. Over three tokens the value has little weight; over forty its weight is 1 − 0.95⁴⁰ = 0.87.',
  ],
  [0, 'Everything after the next token comes from the value, and the policy maximizes that.'],
];

export const METHODS: readonly Method[] = [
  {
    id: 'rloo',
    name: 'RLOO',
    remark:
      'The KL is in the reward, and the baseline is the mean of the other rewards: the gradient is that of J.',
    loss: ({ beta }) => lossOf(FAMILIES.rloo, { lossType: 'rloo', beta }),
    batch: policyGradient(meanOfOthers, returnsOf),
    predicted: BEST,
  },
  {
    id: 'mean-reward',
    name: 'Dr. GRPO, KL in the reward, G = 2',
    remark:
      'The mean includes the own reward, which only scales every step by 1 − 1/G if the KL is in the reward.',
    loss: grpo({ lossType: 'dr_grpo', maxCompletionLength: 3, klIn: 'reward' }),
    batch: policyGradient(meanPairs, returnsOf),
    predicted: BEST,
  },
  {
    id: 'k2',
    name: 'Dr. GRPO, KL in the loss (k3 times the ratio), large groups',
    remark:
      'The gradient of this KL is that of k1²/2: each token is penalized for its own KL only, not for the KL of the tokens after it.',
    loss: grpo({ lossType: 'dr_grpo', maxCompletionLength: 3 }),
    batch: policyGradient(meanOfOthers, rewardsOf),
    predicted: { how: K2, objective: (problem) => balanced(problem, meanOfOthers, 'k2') },
  },
  {
    id: 'k3',
    name: 'The same with plain k3 (`useBiasCorrectionKl` off)',
    remark:
      'On samples of the policy, the gradient of k3 is that of the forward KL, KL(π_ref ‖ π), token by token.',
    loss: grpo({ lossType: 'dr_grpo', maxCompletionLength: 3, useBiasCorrectionKl: false }),
    batch: policyGradient(meanOfOthers, rewardsOf),
    predicted: {
      how: 'π = β π_ref / (λ − Q) at every prefix',
      objective: (problem) => balanced(problem, meanOfOthers, 'k3'),
    },
  },
  {
    id: 'mean-loss',
    name: 'Dr. GRPO, KL in the loss, G = 2',
    remark:
      'The mean includes the own reward, which halves the reward but not the KL: groups of G act like a β that is G/(G − 1) times as large.',
    loss: grpo({ lossType: 'dr_grpo', maxCompletionLength: 3 }),
    batch: policyGradient(meanPairs, rewardsOf),
    predicted: { how: 'as above, at 2 β', objective: (problem) => balanced(problem, meanPairs, 'k2') },
  },
  {
    id: 'grpo',
    name: 'GRPO, TRL’s defaults and β, G = 2',
    remark: 'In groups of two, a standardized advantage is ±0.707 for any rewards: only the ranks count.',
    loss: grpo({}),
    batch: policyGradient(dapoPairs, rewardsOf),
    // The updates from ranks and lengths are not the gradient of an objective: with a small β2, J oscillates by 0.0015
    // instead of converging.
    adamBeta2: 0.999,
    predicted: {
      how: 'π ∝ π_ref e^(Q/b), Q and b of ranks and lengths',
      objective: (problem) => balanced(problem, dapoPairs, 'k2'),
    },
  },
  {
    id: 'grpo-large',
    name: 'GRPO, TRL’s defaults and β, large groups',
    remark:
      'The advantage is divided by the deviation of the rewards, which acts like β times the deviation: the smaller the deviation, the less the KL counts.',
    loss: grpo({}),
    batch: policyGradient(largeGroups('rollout'), rewardsOf),
    predicted: COLLAPSE,
  },
  {
    id: 'grpo-paper',
    name: 'GRPO as in its paper (loss type `grpo`, k3), G = 2',
    remark:
      'Only ranks count, as above. Each completion is divided by its own length, so short good ones and long bad ones count more.',
    loss: grpo({ lossType: 'grpo', useBiasCorrectionKl: false }),
    batch: policyGradient(paperPairs, rewardsOf),
    predicted: {
      how: 'π = b π_ref / (b + λ − Q), Q and b of ranks and lengths',
      objective: (problem) => balanced(problem, perToken(paperPairs), 'k3'),
    },
  },
  ...LAMBDAS.map(ppo),
  {
    id: 'ppo-exact',
    name: 'PPO, λ = 0, exact values',
    remark: 'With exact values, no λ has a bias.',
    loss: ({ beta }) => lossOf(FAMILIES.ppo, { lossType: 'ppo', beta }),
    batch: estimatedAdvantages(exactValues, 0),
    predicted: BEST,
  },
  {
    id: 'online-dpo-sampled',
    name: 'Online DPO, sampled labels',
    remark:
      'Labels are sampled from the Bradley–Terry model: at π* the loss of every pair has an expected gradient of 0.',
    loss: onlineDpo,
    batch: labelledPairs(LABEL_RULES.sampled),
    predicted: BEST,
  },
  {
    id: 'online-dpo-greedy',
    name: 'Online DPO, greedy labels (TRL)',
    remark:
      'The better completion always wins, even by a tiny difference, so no finite margin is an optimum.',
    loss: onlineDpo,
    batch: labelledPairs(LABEL_RULES.greedy),
    predicted: COLLAPSE,
  },
  {
    id: 'a2po',
    name: 'A*-PO, V* = β log Z',
    remark: 'The squared residual is 0 at π* for every completion: Theorem 1 as a regression.',
    loss: a2po,
    batch: regressed(optimumOf),
    predicted: BEST,
  },
  {
    id: 'a2po-wrong',
    name: 'A*-PO, V* wrong by 1',
    remark: 'On samples of the policy a wrong V* is only another baseline.',
    loss: a2po,
    batch: regressed((problem) => optimumOf(problem) + 1),
    predicted: BEST,
  },
];
