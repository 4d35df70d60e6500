/** Softmax and log-softmax against their float64 references, values and gradients, by every variant. */
import { expect } from 'chai';
import { logSoftmax, SOFTMAX, SOFTMAX_VARIANTS, softmax } from '../../src/ops/softmax.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../reference/compare.ts';
import * as reference from '../reference/softmax.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { KINDS, type Kind } from '../support/logits.ts';
import { asking } from '../support/op.ts';
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
  for (const { name } of SOFTMAX_VARIANTS) {
    // The number of threads per row is that of the rows held in registers.
    const widths =
      name === 'streamed' ? WIDTHS.map((width) => [`, ${width} threads a row`, width]) : [['', undefined]];
    for (const kind of Object.keys(KINDS) as Kind[]) {
      for (const [words, width] of widths as [string, number | undefined][]) {
        it(`softmax of ${kind} logits, ${name}${words}`, async () => {
          const gpu = asking(await testGpu(), name);
          await checkRowOp(gpu, kind, width ?? gpu.rowThreads, PROBABILITIES, (logits, shape) => {
            const p = reference.softmax(logits, shape);
            return {
              run: softmax,
              value: () => p,
              gradient: (dy) => reference.softmaxBackward(dy, p, shape),
            };
          });
        });

        it(`log-softmax of ${kind} logits, ${name}${words}`, async () => {
          const gpu = asking(await testGpu(), name);
          await checkRowOp(gpu, kind, width ?? gpu.rowThreads, LOGPROBS, (logits, shape) => ({
            run: logSoftmax,
            value: () => reference.logSoftmax(logits, shape),
            gradient: (dy) => reference.logSoftmaxBackward(dy, logits, shape),
          }));
        });
      }
    }

    it(`keeps a NaN and an overflow visible in their own rows only, ${name}`, async () => {
      const { gpu, check } = guards(asking(await testGpu(), name));
      const cols = 431;
      const rows = [0, Number.NaN, 1, Number.POSITIVE_INFINITY, 2].map((strange) =>
        Float32Array.from({ length: cols }, (_, i) => (i === 200 ? strange : i % 7)),
      );
      const values = Float32Array.from(rows.flatMap((row) => [...row]));
      const z = Tensor.from(gpu, values, [rows.length, cols], 'logits');
      for (const op of [softmax, logSoftmax]) {
        const y = await op(Tape.forInference(gpu), z).toArray(gpu);
        rows.forEach((_, row) => {
          const strange = y.subarray(row * cols, (row + 1) * cols).filter(Number.isNaN).length;
          expect(strange, `${op.name}, row ${row}`).to.equal(row % 2 === 0 ? 0 : cols);
        });
      }
      await check();
    });
  }

  it('holds rows in one to four parts, by threads up to the limit', async () => {
    for (const threads of [64, 256]) {
      for (const cols of [1, 512, 1023, 16 * threads + 1, 48 * threads, 64 * threads - 1, 64 * threads]) {
        const real = await testGpu();
        const limits = {
          maxStorageBufferBindingSize: real.limits.maxStorageBufferBindingSize,
          maxComputeInvocationsPerWorkgroup: threads,
          maxComputeWorkgroupSizeX: threads,
        };
        const { gpu, check } = guards(Object.create(asking(real, 'held'), { limits: { value: limits } }));
        const shape = { rows: 2, cols };
        const values = KINDS.masked(cols, { rows: 4, cols }).subarray(2 * cols);
        const z = Tensor.from(gpu, values, [2, cols], 'logits');
        expect(gpu.variants.choose(gpu, SOFTMAX, { ...shape, threads }).name).to.equal('held');
        const p = await softmax(Tape.forInference(gpu), z).toArray(gpu);
        const label = `${cols} by ${threads} threads`;
        expectClose(p, reference.softmax(values, shape), { ...PROBABILITIES.value, label });
        const logp = await logSoftmax(Tape.forInference(gpu), z).toArray(gpu);
        expectClose(logp, reference.logSoftmax(values, shape), { ...LOGPROBS.value, label });
        await check();
      }
    }
  });

  it('measures its variants on its own rows, with equal results', async () => {
    const gpu = await testGpu();
    const live = gpu.memory().live;
    const trial = SOFTMAX.trial(gpu, { rows: 9, cols: 431, threads: 256 });
    const results: Float32Array[] = [];
    for (const variant of SOFTMAX_VARIANTS) {
      gpu.recorder.clear(trial.result);
      trial.run(variant);
      results.push(new Float32Array(await gpu.read(trial.result), 0, 9 * 431));
    }
    expectClose(results[1], results[0], PROBABILITIES.value);
    trial.dispose();
    expect(gpu.memory().live).to.equal(live);
  });

  it('does not use the variant for rows that are too long', async () => {
    const gpu = asking(await testGpu(), 'held');
    const chosen = (cols: number, threads: number) =>
      gpu.variants.choose(gpu, SOFTMAX, { rows: 2, cols, threads }).name;
    expect([chosen(65_536, 1024), chosen(65_537, 1024), chosen(16_385, 256)]).to.deep.equal([
      'held',
      'streamed',
      'streamed',
    ]);
  });
});
