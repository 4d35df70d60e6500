/**
 * Log-sum-exp over the rows of a logits buffer, with its gradient. Stable for any finite logits; a row of −∞ gives −∞.
 */
import shader from '../../shaders/logits/logsumexp.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, inRowBlocks } from './logits.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const logSumExpKernels = kernels(shader, { forward: perRow, backward: perRow });

/** logits (N, V) → log Σ e^logit (N). */
export function logSumExp(tape: Tape, logits: Tensor): Tensor {
  checkLogits('logSumExp', logits);
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = sharingRows(gpu, cols);
  const lse = tape.empty([rows], 'log-sum-exp');
  const states = tape.empty([rows, 5], 'row states', 'f32', 'head');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = { logits: part(logits), lse: part(lse), states: part(states) };
    logSumExpKernels.forward(gpu, buffers, { rows: count, cols, accumulate: 0 }, constants);
  });
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    const dlse = lse.grad!;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = {
        logits: part(logits),
        saved_states: part(states),
        dlse: part(dlse),
        dlogits: part(slot.grad),
      };
      logSumExpKernels.backward(gpu, buffers, { rows: count, cols, accumulate: slot.accumulate }, constants);
    });
  };
  tape.record({ inputs: [logits], outputs: [lse], saved: [states], backward });
  return lse;
}
