/**
 * Direct preference optimisation (Rafailov et al. 2023), sigmoid loss, with the label smoothing of cDPO (Mitchell 2023):
 * z = β ((l₊ − l₊ref) − (l₋ − l₋ref)),  loss = −(1 − ε) log σ(z) − ε log σ(−z). Sums of token log-probabilities in,
 * one loss a pair out. Written so that no |z| overflows.
 */
import { logSigmoid, mean, type Reals, sigmoid } from './arrays.ts';

/** Sums over completion tokens, one a pair. */
export interface PairLogprobs {
  policyChosen: Reals;
  policyRejected: Reals;
  referenceChosen: Reals;
  referenceRejected: Reals;
}

export interface DpoOptions {
  beta: number;
  /** ε, the probability that a label is flipped; 0 is plain DPO. */
  labelSmoothing?: number;
}

/** Everything per pair; `loss` and `metrics` are means over the pairs. */
export interface DpoResult {
  losses: Float64Array;
  /** d losses[p] / d policyChosen[p]; d losses[p] / d policyRejected[p] is its negative. Not divided by the pairs. */
  dchosen: Float64Array;
  drejected: Float64Array;
  chosenRewards: Float64Array;
  rejectedRewards: Float64Array;
  loss: number;
  metrics: DpoMetrics;
}

/** TRL's names. A tie counts as wrong. */
export interface DpoMetrics {
  'rewards/chosen': number;
  'rewards/rejected': number;
  'rewards/margins': number;
  'rewards/accuracies': number;
  'logps/chosen': number;
  'logps/rejected': number;
}

/** Loss, gradient and metrics; see the file's header for the formula. dloss/dz = ε σ(z) − (1 − ε) σ(−z). */
export function dpo(sums: PairLogprobs, { beta, labelSmoothing = 0 }: DpoOptions): DpoResult {
  const pairs = sums.policyChosen.length;
  const chosenRewards = perPair(pairs, (p) => beta * (sums.policyChosen[p] - sums.referenceChosen[p]));
  const rejectedRewards = perPair(pairs, (p) => beta * (sums.policyRejected[p] - sums.referenceRejected[p]));
  const z = perPair(pairs, (p) => chosenRewards[p] - rejectedRewards[p]);
  const losses = z.map((x) => -(1 - labelSmoothing) * logSigmoid(x) - labelSmoothing * logSigmoid(-x));
  const dchosen = z.map((x) => beta * (labelSmoothing * sigmoid(x) - (1 - labelSmoothing) * sigmoid(-x)));
  return {
    losses,
    dchosen,
    drejected: dchosen.map((slope) => -slope),
    chosenRewards,
    rejectedRewards,
    loss: mean(losses),
    metrics: {
      'rewards/chosen': mean(chosenRewards),
      'rewards/rejected': mean(rejectedRewards),
      'rewards/margins': mean(z),
      'rewards/accuracies': mean(z.map((_, p) => (chosenRewards[p] > rejectedRewards[p] ? 1 : 0))),
      'logps/chosen': mean(sums.policyChosen),
      'logps/rejected': mean(sums.policyRejected),
    },
  };
}

function perPair(pairs: number, value: (pair: number) => number): Float64Array {
  return Float64Array.from({ length: pairs }, (_, pair) => value(pair));
}
