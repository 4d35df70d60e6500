/**
 * Divergence between a policy π and a reference π_ref from two logits buffers (N, V), exactly, token by token, with the
 * gradient to the policy's logits (the reference is frozen). Masks follow softmax.ts and are expected to agree: where
 * only one side is masked, the entry counts if its own weight is positive and the divergence is then +∞, its gradient
 * undefined. A row masked throughout on either side has divergence 0 and gradient 0.
 */
import type { Matrix, Reals } from './arrays.ts';
import { logSoftmax } from './softmax.ts';

/** Values (rows) and, before any upstream gradient, d value / d policy logits (rows, cols). */
export interface Divergence {
  kl: Float64Array;
  dpolicy: Float64Array;
}

/** KL(π ‖ π_ref) = Σ π (log π − log π_ref); gradient π (log π − log π_ref − KL). */
export function reverseKl(policy: Reals, reference: Reals, shape: Matrix): Divergence {
  return divergence(
    policy,
    reference,
    shape,
    ({ p, logp, logq }, kl) => (p > 0 ? p * (logp - logq - kl) : 0),
    'policy',
  );
}

/** KL(π_ref ‖ π) = Σ π_ref (log π_ref − log π); gradient π − π_ref. */
export function forwardKl(policy: Reals, reference: Reals, shape: Matrix): Divergence {
  return divergence(policy, reference, shape, ({ p, q }) => p - q, 'reference');
}

interface Entry {
  p: number;
  q: number;
  logp: number;
  logq: number;
}

function divergence(
  policy: Reals,
  reference: Reals,
  shape: Matrix,
  slope: (entry: Entry, kl: number) => number,
  weightedBy: 'policy' | 'reference',
): Divergence {
  const { rows, cols } = shape;
  const logPolicy = logSoftmax(policy, shape);
  const logReference = logSoftmax(reference, shape);
  const kl = new Float64Array(rows);
  const dpolicy = new Float64Array(rows * cols);
  for (let n = 0; n < rows; n++) {
    const entries: Entry[] = [];
    for (let v = 0; v < cols; v++) {
      const [logp, logq] = [logPolicy[n * cols + v], logReference[n * cols + v]];
      entries.push({ p: Math.exp(logp), q: Math.exp(logq), logp, logq });
    }
    if (entries.every(({ p }) => p === 0) || entries.every(({ q }) => q === 0)) continue;
    for (const { p, q, logp, logq } of entries) {
      if (weightedBy === 'policy' && p > 0) kl[n] += p * (logp - logq);
      if (weightedBy === 'reference' && q > 0) kl[n] += q * (logq - logp);
    }
    entries.forEach((entry, v) => {
      dpolicy[n * cols + v] = slope(entry, kl[n]);
    });
  }
  return { kl, dpolicy };
}
