/** Log-sum-exp against its float64 reference, values and gradients, and in blocks of rows. */
import { logSumExp } from '../../src/ops/logsumexp.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../reference/compare.ts';
import * as reference from '../reference/softmax.ts';
import { testGpu } from '../support/gpu.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { checkRowOp, type RowOpTolerance, WIDTHS } from '../support/row-op.ts';

// A sum of 200,000 exponentials in blocks of 256, and the last place of a float32 near 10,000.
const TOLERANCE: RowOpTolerance = {
  value: { absolute: 3e-6, relative: 1e-6 },
  gradient: { absolute: 1e-7, relative: 1e-5 },
};

describe('logSumExp', () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    for (const width of WIDTHS) {
      it(`of ${kind} logits, ${width} threads a row`, async () => {
        await checkRowOp(await testGpu(), kind, width, TOLERANCE, (logits, shape) => ({
          run: logSumExp,
          value: () => reference.logSumExp(logits, shape),
          gradient: (dy) =>
            reference.softmax(logits, shape).map((p, i) => p * dy[Math.floor(i / shape.cols)]),
        }));
      });
    }
  }

  it('stays accurate over 200,000 nearly equal logits', async () => {
    // A single thread that added each e^z to one growing sum would be wrong by almost a hundredth.
    const gpu = await testGpu();
    const values = new Float32Array(200_000).fill(-0.001);
    values[0] = 0;
    const tape = Tape.forInference(gpu);
    const logits = Tensor.from(gpu, values, [1, values.length]);
    const lse = await logSumExp(tape, logits).toArray(gpu);
    gpu.pool.release(logits);
    tape.dispose();
    const expected = reference.logSumExp(values, { rows: 1, cols: values.length });
    expectClose(lse, expected, { relative: 1e-6 });
  });

  it('processes a buffer over the binding limit in blocks of rows', async () => {
    const real = await testGpu();
    const shape = { rows: 431, cols: 123 };
    const limits = { maxStorageBufferBindingSize: 130 * shape.cols * 4 };
    const gpu: typeof real = Object.create(real, { limits: { value: limits } });
    const values = KINDS.ordinary(7, shape);
    const tape = Tape.forInference(gpu);
    const logits = Tensor.from(gpu, values, [shape.rows, shape.cols]);
    const dispatches = gpu.recorder.report.dispatches;
    const lse = await logSumExp(tape, logits).toArray(gpu);
    gpu.pool.release(logits);
    tape.dispose();
    expectClose(lse, reference.logSumExp(values, shape), TOLERANCE.value);
    if (gpu.recorder.report.dispatches - dispatches !== 4) throw new Error('expected blocks of 128 rows');
  });
});
