/**
 * Weighted preference optimization (Zhou et al. 2024, equation 2), in float64: w = exp(1/T Σ (log π(token) − log Σ p²)) of
 * a completion, and w₊ w₋ of a pair.
 */
import type { Reals } from './arrays.ts';

/** The weight of each pair; sequences 2p and 2p + 1 belong to pair p, each with the rows up to the next offset. */
export function pairWeights(logprobs: Reals, logCollisions: Reals, offsets: Reals): Float64Array {
  const alignment = (sequence: number) => {
    let sum = 0;
    for (let i = offsets[sequence]; i < offsets[sequence + 1]; i++) sum += logprobs[i] - logCollisions[i];
    return sum / Math.max(1, offsets[sequence + 1] - offsets[sequence]);
  };
  return Float64Array.from({ length: (offsets.length - 1) / 2 }, (_, p) =>
    Math.exp(alignment(2 * p) + alignment(2 * p + 1)),
  );
}
