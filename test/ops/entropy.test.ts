/** Entropy against its float64 reference, values and gradients. */
import { entropy } from '../../src/ops/entropy.ts';
import * as reference from '../reference/softmax.ts';
import { testGpu } from '../support/gpu.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { checkRowOp, type RowOpTolerance, WIDTHS } from '../support/row-op.ts';

// Entropies reach log 200,000 = 12; log and exp are wrong by a few units in the last place.
const TOLERANCE: RowOpTolerance = {
  value: { absolute: 3e-6, relative: 1e-6 },
  gradient: { absolute: 1e-6, relative: 2e-5 },
};

describe('entropy', () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    for (const width of WIDTHS) {
      it(`of ${kind} logits, ${width} threads a row`, async () => {
        await checkRowOp(await testGpu(), kind, width, TOLERANCE, (logits, shape) => ({
          run: entropy,
          value: () => reference.entropy(logits, shape),
          gradient: (dy) => reference.entropyBackward(dy, logits, shape),
        }));
      });
    }
  }
});
