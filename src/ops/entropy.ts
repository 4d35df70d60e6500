/**
 * Entropy over the rows of a logits buffer, with its gradient. Masked entries (−∞) add nothing.
 */
import shader from '../../shaders/logits/entropy.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, inRowBlocks } from './logits.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const entropyKernels = kernels(shader, { forward: perRow, backward: perRow });

/** logits (N, V) → −Σ p log p in nats (N). */
export function entropy(tape: Tape, logits: Tensor): Tensor {
  checkLogits('entropy', logits);
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = sharingRows(gpu, cols);
  const values = tape.empty([rows], 'entropy');
  const states = tape.empty([rows, 5], 'row states', 'f32', 'head');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = { logits: part(logits), entropy: part(values), states: part(states) };
    entropyKernels.forward(gpu, buffers, { rows: count, cols, accumulate: 0 }, constants);
  });
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    const dentropy = values.grad!;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = {
        logits: part(logits),
        saved_states: part(states),
        dentropy: part(dentropy),
        dlogits: part(slot.grad),
      };
      entropyKernels.backward(gpu, buffers, { rows: count, cols, accumulate: slot.accumulate }, constants);
    });
  };
  tape.record({ inputs: [logits], outputs: [values], saved: [states], backward });
  return values;
}
