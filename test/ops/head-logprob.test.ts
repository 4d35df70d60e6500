/**
 * The head fused with its log-probabilities, compared with the float64 reference, and with logits in full, which it never
 * holds.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { vocabularyStrips } from '../../src/ops/head-strips.ts';
import { product } from '../../src/ops/product.ts';
import { headLogprobs, tokenLogprobs } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import {
  draw,
  expectValues,
  run,
  type Shape,
  tolerances,
  train,
  truth,
  upload,
} from '../support/head-logprob.ts';

// One strip, full or narrow, and several; widths that the tiled products support and that they do not.
const SHAPES: readonly Shape[] = [
  { rows: 1, width: 1, vocabulary: 1 },
  { rows: 6, width: 42, vocabulary: 6 },
  { rows: 42, width: 123, vocabulary: 64 },
  { rows: 6, width: 64, vocabulary: 65 },
  { rows: 123, width: 42, vocabulary: 431 },
  { rows: 431, width: 64, vocabulary: 512 },
  { rows: 2, width: 4, vocabulary: 200_000 },
];

describe('headLogprobs', () => {
  for (const shape of SHAPES) {
    const { rows, width, vocabulary } = shape;
    for (const threads of [1, 64]) {
      const title = `(${rows}, ${width}) by ${vocabulary}, ${threads} threads a row`;

      it(`values and gradients with a trained head, ${title}`, async () => {
        const data = draw(rows + vocabulary, shape);
        const { gpu, check } = guards(await testGpu(), threads);
        const { hidden, head, targets } = upload(gpu, data, shape);
        hidden.requiresGrad = true;
        const dhead = train(gpu, head, data.head);
        const result = await run(gpu, { hidden, head, targets }, data.upstream);
        const { values, slopes } = truth(data, shape);
        const tolerance = tolerances(data, shape);
        expectValues(result, values, tolerance.value);
        expectClose(result.dhidden, slopes.dhidden, { ...tolerance.gradient, label: 'd hidden' });
        const added = slopes.dweight.map((d, i) => d + data.head[i]);
        expectClose(await dhead.toArray(gpu), added, { ...tolerance.gradient, label: 'd head' });
        await check();
      });

      it(`values and gradients with a frozen head, ${title}`, async () => {
        const data = draw(rows + vocabulary, shape);
        const { gpu, check } = guards(await testGpu(), threads);
        const inputs = upload(gpu, data, shape);
        const { values, slopes } = truth(data, shape);
        inputs.hidden.requiresGrad = true;
        const first = await run(gpu, inputs, data.upstream);
        const tolerance = tolerances(data, shape);
        expectValues(first, values, tolerance.value);
        expectClose(first.dhidden, slopes.dhidden, { ...tolerance.gradient, label: 'd hidden' });
        // If a hidden state already has a gradient, this one is added to it.
        inputs.hidden.grad = Tensor.from(gpu, data.hidden, [rows, width], 'gradient so far');
        const second = await run(gpu, inputs, data.upstream);
        const added = slopes.dhidden.map((d, i) => d + data.hidden[i]);
        expectClose(second.dhidden, added, { ...tolerance.gradient, label: 'added d hidden' });
        await check();
      });
    }
  }

  // Logits near a cap: with a trained head, a frozen one, and gradients of likely tokens only.
  for (const shape of [SHAPES[1], SHAPES[3], SHAPES[4]]) {
    const { rows, width, vocabulary } = shape;
    for (const [kind, options] of [
      ['a trained head', {}],
      ['a frozen head', {}],
      ['likely tokens of a trained head', { filterEps: 1e-30 }],
      ['likely tokens of a frozen head', { filterEps: 1e-30 }],
    ] as const) {
      it(`soft caps of logits, (${rows}, ${width}) by ${vocabulary}, ${kind}`, async () => {
        const softCap = 1.5;
        const data = draw(rows + vocabulary, shape);
        const { gpu, check } = guards(await testGpu());
        const { hidden, head, targets } = upload(gpu, data, shape);
        hidden.requiresGrad = true;
        const dhead = kind.includes('trained') ? train(gpu, head, data.head) : undefined;
        const cappedMeans = Tensor.from(gpu, new Float32Array(rows), [rows], 'means');
        const inputs = { hidden, head, targets };
        const result = await run(gpu, inputs, data.upstream, { ...options, softCap, cappedMeans });
        const { values, slopes } = truth(data, shape, softCap);
        const tolerance = tolerances(data, shape);
        expectValues(result, values, tolerance.value);
        expectClose(result.dhidden, slopes.dhidden, { ...tolerance.gradient, label: 'd hidden' });
        expectClose(await cappedMeans.toArray(gpu), values.meanLogit, tolerance.value);
        if (dhead) {
          const added = slopes.dweight.map((d, i) => d + data.head[i]);
          expectClose(await dhead.toArray(gpu), added, { ...tolerance.gradient, label: 'd head' });
        }
        await check();
      });
    }
  }

  it('processes the rows of a frozen head in blocks that fit a binding', async () => {
    const { gpu, check } = guards(await testGpu());
    const shape = { rows: 42, width: 42, vocabulary: 431 };
    // Enough for a strip, not for the head: its gradient needs two blocks.
    const limits = { maxStorageBufferBindingSize: 50_000 };
    const small: Gpu = Object.create(gpu, { limits: { value: limits } });
    const data = draw(5, shape);
    const inputs = upload(small, data, shape);
    inputs.hidden.requiresGrad = true;
    const { dhidden } = await run(small, inputs, data.upstream);
    const tolerance = tolerances(data, shape);
    expectClose(dhidden, truth(data, shape).slopes.dhidden, { ...tolerance.gradient, label: 'd hidden' });
    await check();
  });

  it('gives no gradient to a frozen head and a frozen hidden state', async () => {
    const gpu = await testGpu();
    const shape = { rows: 6, width: 42, vocabulary: 123 };
    const data = draw(1, shape);
    for (const trained of ['hidden', 'head', 'none'] as const) {
      const live = gpu.memory().live;
      const { hidden, head, targets } = upload(gpu, data, shape);
      const owned = [hidden, head, targets];
      if (trained === 'hidden') owned.push(train(gpu, hidden, data.hidden));
      if (trained === 'head') owned.push(train(gpu, head, data.head));
      const tape = Tape.forTraining(gpu);
      const { logprobs } = headLogprobs(tape, hidden, head, targets);
      expect(logprobs.requiresGrad).to.equal(trained !== 'none');
      logprobs.grad = tape.empty([6], 'upstream');
      gpu.recorder.write(logprobs.grad, data.upstream);
      tape.backward();
      for (const tensor of owned) gpu.pool.release(tensor);
      expect(gpu.memory().live).to.equal(live);
      await gpu.recorder.finish();
    }
  });

  it('agrees with the full logits, and uses less memory', async () => {
    const gpu = await testGpu();
    const shape = { rows: 42, width: 64, vocabulary: 6000 };
    const { rows, width, vocabulary } = shape;
    const { hidden, head, targets } = upload(gpu, draw(2, shape), shape);
    gpu.pool.trim();
    gpu.pool.resetPeak();
    const before = gpu.memory().reserved;
    const fused = Tape.forInference(gpu);
    const values = await headLogprobs(fused, hidden, head, targets).logprobs.toArray(gpu);
    const peak = gpu.memory().peak - before;
    fused.dispose();
    expect(peak).to.be.below(rows * vocabulary * 4 * 0.6);

    const plain = Tape.forInference(gpu);
    const logits = plain.empty([rows, vocabulary], 'logits');
    product(gpu, 'nt', hidden, head, logits, { m: rows, n: vocabulary, k: width });
    const expected = await tokenLogprobs(plain, logits, targets).logprobs.toArray(gpu);
    plain.dispose();
    for (const tensor of [hidden, head, targets]) gpu.pool.release(tensor);
    expectClose(values, expected, { absolute: 2e-6, relative: 1e-6 });
  });

  it('splits the vocabulary into aligned strips that are never the whole', () => {
    for (const rows of [1, 6, 431, 20_000, 1_000_000]) {
      for (const vocabulary of [1, 63, 64, 65, 128, 129, 431, 49_152, 200_000]) {
        const strips = vocabularyStrips(rows, vocabulary);
        const widest = Math.max(...strips.map(({ cols }) => cols));
        expect(strips.map(({ start }) => start % 64)).to.deep.equal(strips.map(() => 0));
        expect(
          strips.reduce((end, { start, cols }) => (start === end ? end + cols : Number.NaN), 0),
        ).to.equal(vocabulary);
        expect(strips.every(({ cols, stride }) => stride % 4 === 0 && stride >= cols)).to.equal(true);
        if (vocabulary > 64) expect(widest).to.be.below(vocabulary);
        expect(rows * widest * 4 <= 16 * 1024 * 1024 || widest <= 64).to.equal(true);
      }
    }
  });

  it('rejects invalid shapes', async () => {
    const tape = Tape.forInference(await testGpu());
    const [hidden, head] = [tape.empty([2, 4], 'hidden'), tape.empty([8, 3], 'head')];
    const targets = tape.empty([2], 'targets', 'u32');
    expect(() => headLogprobs(tape, hidden, head, targets)).to.throw(
      RangeError,
      'hidden is hidden (2, 4) f32',
    );
    tape.dispose();
  });
});
