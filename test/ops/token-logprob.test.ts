/**
 * Log-probabilities of targets from logits, against their float64 reference: values, statistics, gradients, refusals.
 */
import { expect } from 'chai';
import { logitsOf } from '../../src/ops/logits.ts';
import { STATS_WIDTH, tokenLogprobs } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as reference from '../reference/token-logprob.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { checkRowOp, type RowOpTolerance, WIDTHS } from '../support/row-op.ts';

// (z − m) is exact to the last place of a difference up to 20,000; log and a sum of exponentials add 3e-6 at most.
const TOLERANCE: RowOpTolerance = {
  value: { absolute: 3e-6, relative: 1e-6 },
  gradient: { absolute: 3e-7, relative: 1e-5 },
};

describe('tokenLogprobs', () => {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    for (const width of WIDTHS) {
      it(`of ${kind} logits, ${width} threads a row`, async () => {
        await checkRowOp(await testGpu(), kind, width, TOLERANCE, (logits, shape, seed) => {
          const targets = random(seed).ints(shape.rows, shape.cols);
          return {
            run: (tape, z, gpu) =>
              tokenLogprobs(tape, z, Tensor.from(gpu, targets, [shape.rows], 'targets')).logprobs,
            value: () => reference.tokenLogprob(logits, targets, shape).logprob,
            gradient: (dy) => reference.tokenLogprobBackward(dy, logits, targets, shape),
          };
        });
      });
    }

    it(`statistics of ${kind} logits`, async () => {
      const gpu = await testGpu();
      const shape = { rows: 123, cols: 42 };
      const logits = KINDS[kind](9, shape);
      // Every other target is the argmax.
      const targets = Uint32Array.from({ length: shape.rows }, (_, n) => {
        const row = logits.subarray(n * shape.cols, (n + 1) * shape.cols);
        return n % 2 === 0 ? Math.max(0, row.indexOf(Math.max(...row))) : n % shape.cols;
      });
      const tape = Tape.forInference(gpu);
      const [z, t] = [Tensor.from(gpu, logits, [123, 42]), Tensor.from(gpu, targets, [123])];
      const stats = await tokenLogprobs(tape, z, t).stats.toArray(gpu);
      for (const tensor of [z, t]) gpu.pool.release(tensor);
      tape.dispose();
      const expected = reference.tokenLogprob(logits, targets, shape);
      const [entropy, correct, collision] = [0, 1, 2].map((column) =>
        stats.filter((_, i) => i % STATS_WIDTH === column),
      );
      expectClose(entropy as Float32Array, expected.entropy, { absolute: 3e-6, relative: 1e-6 });
      // A masked target is never the argmax, even in a row without a distribution.
      const top1 = expected.top1.map((hit, n) => (expected.logprob[n] === -Infinity ? 0 : hit));
      expectClose(correct as Float32Array, top1, { absolute: 0 });
      // Two logarithms, one of them twice.
      expectClose(collision as Float32Array, expected.logCollision, { absolute: 9e-6, relative: 1e-6 });
    });
  }

  for (const width of WIDTHS) {
    it(`uses the lowest index of a tie, ${width} threads a row`, async () => {
      const { gpu, check } = guards(await testGpu(), width);
      // Ties within a thread and between threads; first all entries but the first have the maximum, then all do.
      const cols = 123;
      const rows = [0, 0, 0, 5, 5].map((first) =>
        Float32Array.from({ length: cols }, (_, i) => (i ? 5 : first)),
      );
      const logits = Tensor.from(
        gpu,
        Float32Array.from(rows.flatMap((row) => [...row])),
        [5, cols],
        'logits',
      );
      const targets = Tensor.from(gpu, Uint32Array.of(1, 2, 122, 0, 64), [5], 'targets');
      const stats = await tokenLogprobs(Tape.forInference(gpu), logits, targets).stats.toArray(gpu);
      expect([0, 1, 2, 3, 4].map((row) => stats[STATS_WIDTH * row + 1])).to.deep.equal([1, 0, 0, 1, 0]);
      await check();
    });
  }

  it('reads a buffer of the caller and does not change it', async () => {
    const gpu = await testGpu();
    const shape = { rows: 6, cols: 123 };
    const values = KINDS.ordinary(11, shape);
    const targets = random(12).ints(6, 123);
    // STORAGE | COPY_SRC | COPY_DST, with room before the logits.
    const buffer = gpu.device.createBuffer({ size: 512 + values.byteLength, usage: 0x80 | 0x04 | 0x08 });
    gpu.device.queue.writeBuffer(buffer, 512, values);
    const logits = logitsOf({ buffer, offset: 512, size: values.byteLength }, 6, 123, { requiresGrad: true });
    logits.grad = Tensor.from(gpu, new Float32Array(values.length), [6, 123]);
    const gradient = logits.grad;
    const tape = Tape.forTraining(gpu);
    const t = Tensor.from(gpu, targets, [6]);
    const { logprobs } = tokenLogprobs(tape, logits, t);
    const upstream = Float32Array.from(random(13).normals(6));
    logprobs.grad = Tensor.from(gpu, upstream, [6]);
    const up = logprobs.grad;
    const result = await logprobs.toArray(gpu);
    tape.backward();
    expectClose(result, reference.tokenLogprob(values, targets, shape).logprob, TOLERANCE.value);
    const expected = reference.tokenLogprobBackward(upstream, values, targets, shape);
    expectClose(await gradient.toArray(gpu), expected, TOLERANCE.gradient);
    expect(new Float32Array(await gpu.read(logits))).to.deep.equal(values);
    for (const tensor of [gradient, up, t]) gpu.pool.release(tensor);
    buffer.destroy();
    expect(() => logitsOf(buffer, 100, 123)).to.throw(RangeError, '(100, 123) float32 needs 49200 bytes');
    expect(() => logitsOf({ buffer, offset: 4, size: 512 }, 1, 2)).to.throw(RangeError, 'offset 4');
  });

  it('handles more rows than one dimension of a dispatch', async () => {
    // Two lines of 35,001 groups: one more than there are rows.
    const { gpu, check } = guards(await testGpu());
    const shape = { rows: 70_001, cols: 2 };
    const values = KINDS.ordinary(14, shape);
    const targets = random(15).ints(shape.rows, shape.cols);
    const logits = Tensor.from(gpu, values, [shape.rows, shape.cols], 'logits');
    const { logprobs } = tokenLogprobs(
      Tape.forInference(gpu),
      logits,
      Tensor.from(gpu, targets, [shape.rows], 'targets'),
    );
    const expected = reference.tokenLogprob(values, targets, shape).logprob;
    expectClose(await logprobs.toArray(gpu), expected, TOLERANCE.value);
    await check();
  });

  it('keeps a NaN and an overflow visible', async () => {
    const gpu = await testGpu();
    const rows = [
      [0, Number.NaN, 500],
      [Number.NaN, 0, 500],
      [0, Infinity, 500],
    ];
    const tape = Tape.forInference(gpu);
    const z = Tensor.from(gpu, Float32Array.from(rows.flat()), [3, 3]);
    const t = Tensor.from(gpu, Uint32Array.of(2, 2, 2), [3]);
    const result = await tokenLogprobs(tape, z, t).logprobs.toArray(gpu);
    for (const tensor of [z, t]) gpu.pool.release(tensor);
    tape.dispose();
    expect([...result].map(Number.isNaN)).to.deep.equal([true, true, true]);
  });

  it('rejects invalid shapes', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const logits = tape.empty([2, 3], 'logits');
    const three = tape.empty([3], 'targets', 'u32');
    const floats = tape.empty([2], 'targets');
    expect(() => tokenLogprobs(tape, logits, three)).to.throw(RangeError, 'one u32 for each of 2 rows');
    expect(() => tokenLogprobs(tape, logits, floats)).to.throw(RangeError, 'one u32 for each of 2 rows');
    expect(() => tokenLogprobs(tape, tape.empty([2, 0], 'nothing'), floats)).to.throw(RangeError, '(N, V)');
    tape.dispose();
  });
});
