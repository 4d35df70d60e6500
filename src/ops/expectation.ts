/**
 * Expectation of given values, for example rewards, under the distributions of a logits buffer, with the gradient of the
 * logits. The values are constants without a gradient.
 */
import shader from '../../shaders/logits/expectation.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, inRowBlocks } from './logits.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const expectationKernels = kernels(shader, { forward: perRow, backward: perRow });

/**
 * logits (N, V), values (N, V) → Σ p v (N). A masked entry (−∞) contributes nothing, whatever its value; a fully masked row
 * gives 0.
 */
export function expectation(tape: Tape, logits: Tensor, values: Tensor): Tensor {
  checkLogits('expectation', logits);
  checkLogits('expectation', values);
  const { rows, cols } = logits;
  if (values.rows !== rows || values.cols !== cols) {
    throw new RangeError(`expectation: ${logits} and ${values} differ in shape`);
  }
  const { gpu } = tape;
  const constants = sharingRows(gpu, cols);
  const result = tape.empty([rows], 'expectation');
  const states = tape.empty([rows, 4], 'row states', 'f32', 'head');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = {
      logits: part(logits),
      values: part(values),
      expectation: part(result),
      states: part(states),
    };
    expectationKernels.forward(gpu, buffers, { rows: count, cols, accumulate: 0 }, constants);
  });
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = {
        logits: part(logits),
        values: part(values),
        saved_states: part(states),
        dexpectation: part(result.grad!),
        dlogits: part(slot.grad),
      };
      expectationKernels.backward(
        gpu,
        buffers,
        { rows: count, cols, accumulate: slot.accumulate },
        constants,
      );
    });
  };
  tape.record({ inputs: [logits], outputs: [result], saved: [states], backward });
  return result;
}
