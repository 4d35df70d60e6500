/** Softmax and log-softmax against their float64 references, values and gradients. */
import { logSoftmax, softmax } from '../../src/ops/softmax.ts';
import * as reference from '../reference/softmax.ts';
import { testGpu } from '../support/gpu.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { checkRowOp, type RowOpTolerance, WIDTHS } from '../support/row-op.ts';

// exp may be wrong by 3 + 2|x| units in the last place, and a probability that matters has |x| below 20.
const PROBABILITIES: RowOpTolerance = {
  value: { absolute: 1e-7, relative: 1e-5 },
  gradient: { absolute: 1e-6, relative: 1e-5 },
};
// log may be wrong by 2^-21 between 0.5 and 2; the rest is relative. A gradient sums a row of upstream gradients.
const LOGPROBS: RowOpTolerance = {
  value: { absolute: 2e-6, relative: 1e-6 },
  gradient: { absolute: 1e-5, relative: 1e-5 },
};

describe('softmax', () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    for (const width of WIDTHS) {
      it(`softmax of ${kind} logits, ${width} threads a row`, async () => {
        await checkRowOp(await testGpu(), kind, width, PROBABILITIES, (logits, shape) => {
          const p = reference.softmax(logits, shape);
          return {
            run: softmax,
            value: () => p,
            gradient: (dy) => reference.softmaxBackward(dy, p, shape),
          };
        });
      });

      it(`log-softmax of ${kind} logits, ${width} threads a row`, async () => {
        await checkRowOp(await testGpu(), kind, width, LOGPROBS, (logits, shape) => ({
          run: logSoftmax,
          value: () => reference.logSoftmax(logits, shape),
          gradient: (dy) => reference.logSoftmaxBackward(dy, logits, shape),
        }));
      });
    }
  }
});
