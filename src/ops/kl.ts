/**
 * Kullback–Leibler divergence between a policy's and a reference's logits, exact over the vocabulary, with the gradient of
 * the policy. The reference is frozen and never gets a gradient.
 */
import shader from '../../shaders/logits/kl.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, inRowBlocks } from './logits.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const klKernels = kernels(shader, {
  reverse: perRow,
  forward: perRow,
  backward_reverse: perRow,
  backward_forward: perRow,
});

/** `reverse`: KL(policy ‖ reference), the one in alignment. `forward`: KL(reference ‖ policy). */
export type KlDirection = 'reverse' | 'forward';
const DIRECTIONS: readonly string[] = ['reverse', 'forward'] satisfies KlDirection[];

/**
 * policy (N, V), reference (N, V) → divergence (N). If the first distribution allows a token that the second one masks
 * (−∞), the divergence of the row is +∞, its true value; a row that is fully masked on either side gives 0.
 */
export function kl(
  tape: Tape,
  policy: Tensor,
  reference: Tensor,
  direction: KlDirection = 'reverse',
): Tensor {
  checkLogits('kl', policy);
  checkLogits('kl', reference);
  if (!DIRECTIONS.includes(direction)) {
    throw new RangeError(`kl: unknown direction ${direction}. Supported: ${DIRECTIONS.join(', ')}`);
  }
  const { rows, cols } = policy;
  if (reference.rows !== rows || reference.cols !== cols) {
    throw new RangeError(`kl: ${policy} and ${reference} differ in shape`);
  }
  const { gpu } = tape;
  const constants = sharingRows(gpu, cols);
  const divergence = tape.empty([rows], 'KL divergence');
  const states = tape.empty([rows, 10], 'row states', 'f32', 'head');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = {
      logits: part(policy),
      reference: part(reference),
      kl: part(divergence),
      states: part(states),
    };
    klKernels[direction](gpu, buffers, { rows: count, cols, accumulate: 0 }, constants);
  });
  const backward = () => {
    const slot = tape.gradient(policy);
    if (!slot) return;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const params = { rows: count, cols, accumulate: slot.accumulate };
      const buffers = {
        logits: part(policy),
        reference: part(reference),
        saved_states: part(states),
        dkl: part(divergence.grad!),
        dlogits: part(slot.grad),
      };
      if (direction === 'forward') klKernels.backward_forward(gpu, buffers, params, constants);
      else klKernels.backward_reverse(gpu, { ...buffers, saved_kl: part(divergence) }, params, constants);
    });
  };
  tape.record({ inputs: [policy], outputs: [divergence], saved: [states], backward });
  return divergence;
}
