/**
 * The head fused with its log-probabilities against the float64 reference, and against the logits that it never
 * holds.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { product } from '../../src/ops/product.ts';
import { headLogprobs, STATS_WIDTH, tokenLogprobs, vocabularyStrips } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as reference from '../reference/token-logprob.ts';
import { coarseLinear, isCoarse } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { requireSameBytes } from '../support/op.ts';
import { randomWeights, weightsFrom } from '../support/weights.ts';

interface Shape {
  rows: number;
  width: number;
  vocabulary: number;
}

// One strip, whole or narrow, and several; widths that the tiled products take and that they refuse.
const SHAPES: readonly Shape[] = [
  { rows: 1, width: 1, vocabulary: 1 },
  { rows: 6, width: 42, vocabulary: 6 },
  { rows: 42, width: 123, vocabulary: 64 },
  { rows: 6, width: 64, vocabulary: 65 },
  { rows: 123, width: 42, vocabulary: 431 },
  { rows: 431, width: 64, vocabulary: 512 },
  { rows: 2, width: 4, vocabulary: 200_000 },
];

interface Inputs {
  hidden: Tensor;
  head: Tensor;
  targets: Tensor;
}

function draw(seed: number, { rows, width, vocabulary }: Shape) {
  const { normals, ints } = random(seed);
  return {
    hidden: Float32Array.from(normals(rows * width)),
    head: Float32Array.from(normals(vocabulary * width, 2 / Math.sqrt(width))),
    targets: ints(rows, vocabulary),
    upstream: Float32Array.from(normals(rows)),
  };
}

function upload(gpu: Gpu, data: ReturnType<typeof draw>, { rows, width, vocabulary }: Shape): Inputs {
  return {
    hidden: Tensor.from(gpu, data.hidden, [rows, width], 'hidden'),
    head: Tensor.from(gpu, data.head, [vocabulary, width], 'head'),
    targets: Tensor.from(gpu, data.targets, [rows], 'targets'),
  };
}

/** Makes a parameter of it: a gradient slot that holds `before`. */
function train(gpu: Gpu, tensor: Tensor, before: Float32Array): Tensor {
  tensor.grad = Tensor.from(gpu, before, tensor.shape, `d ${tensor.label}`);
  tensor.requiresGrad = true;
  tensor.isParameter = true;
  return tensor.grad;
}

/** The op and its gradient to the hidden states, read back. */
async function run(gpu: Gpu, { hidden, head, targets }: Inputs, upstream: Float32Array, filterEps?: number) {
  const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
  const { logprobs, stats } = headLogprobs(tape, hidden, head, targets, { filterEps });
  logprobs.grad = Tensor.from(gpu, upstream, [hidden.rows], 'upstream');
  const [logprob, statistics] = [await logprobs.toArray(gpu), await stats.toArray(gpu)];
  tape.backward(hidden, keep);
  const dhidden = await (hidden.grad as unknown as Tensor).toArray(gpu);
  return { logprob, statistics, dhidden };
}

/** What the reference says to the same. */
function truth(
  { hidden, head, targets, upstream }: ReturnType<typeof draw>,
  { rows, width, vocabulary }: Shape,
) {
  const index = Uint32Array.from({ length: rows }, (_, i) => i);
  const size = { tokens: rows, width, vocabulary };
  return {
    values: reference.headLogprob(hidden, head, index, targets, size),
    slopes: reference.headLogprobBackward(upstream, hidden, head, index, targets, size),
  };
}

// A logit is a product of up to 123 terms in float32.
const VALUE = { absolute: 1e-5, relative: 2e-6 };
// A product over a strip adds up to 100,000 terms one after another.
const GRADIENT = { absolute: 1e-5, l2: 5e-6 };

/**
 * The same for these inputs. Logits of coarse factors are off by δ at most: log-probabilities by 2 δ, an entropy and log Σ p²
 * by 4 δ, and a probability, and so a gradient as a whole, by 2 δ of itself.
 */
function tolerances({ hidden, head }: ReturnType<typeof draw>, { rows, width, vocabulary }: Shape) {
  const off = coarseLinear(hidden, head, { rows, inFeatures: width, outFeatures: vocabulary });
  return {
    value: { ...VALUE, absolute: VALUE.absolute + 4 * off },
    gradient: isCoarse ? { l2: GRADIENT.l2 + 2 * off } : GRADIENT,
  };
}

function expectValues(
  actual: Awaited<ReturnType<typeof run>>,
  expected: reference.TokenLogprobs,
  value: typeof VALUE,
): void {
  const column = (which: 0 | 1 | 2) => actual.statistics.filter((_, i) => i % STATS_WIDTH === which);
  expectClose(actual.logprob, expected.logprob, { ...value, label: 'log-probabilities' });
  expectClose(column(0), expected.entropy, { ...value, label: 'entropy' });
  expectClose(column(1), expected.top1, { absolute: 0, label: 'correct' });
  expectClose(column(2), expected.logCollision, { ...value, label: 'log Σ p²' });
}

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
        // A hidden state that has a gradient already gets this one on top.
        inputs.hidden.grad = Tensor.from(gpu, data.hidden, [rows, width], 'gradient so far');
        const second = await run(gpu, inputs, data.upstream);
        const added = slopes.dhidden.map((d, i) => d + data.hidden[i]);
        expectClose(second.dhidden, added, { ...tolerance.gradient, label: 'added d hidden' });
        await check();
      });
    }
  }

  it('takes the rows of a frozen head in blocks that a binding can hold', async () => {
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

  it('leaves a frozen head and a frozen hidden state without a gradient', async () => {
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

  it('agrees with the logits it never holds, and holds less', async () => {
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

  it('cuts the vocabulary into aligned strips that are never the whole', () => {
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

  it('refuses what does not fit', async () => {
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

// One strip; several, of several stretches; more rows than a stretch; all left out but the targets; nothing left out.
const FILTERED: readonly (Shape & { wanted: number })[] = [
  { rows: 42, width: 123, vocabulary: 64, wanted: 2 ** -6 },
  { rows: 6, width: 64, vocabulary: 65, wanted: 2 ** -5 },
  { rows: 123, width: 42, vocabulary: 431, wanted: 2 ** -8 },
  { rows: 20, width: 8, vocabulary: 4321, wanted: 2 ** -10 },
  { rows: 1100, width: 4, vocabulary: 65, wanted: 2 ** -4 },
  { rows: 6, width: 42, vocabulary: 431, wanted: 0.99 },
  { rows: 42, width: 42, vocabulary: 431, wanted: 1e-30 },
];

/** The middle of the widest gap around the wanted number, so that rounding moves nothing across it. */
function between(numbers: readonly Float64Array[], wanted: number): number {
  const near = numbers.flatMap((some) => [...some.filter((p) => Math.abs(p / wanted - 1) < 0.1)]);
  const sorted = near.sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((p, i) => [p - (sorted[i] as number), (p + (sorted[i] as number)) / 2]);
  return gaps.reduce((a, b) => ((b[0] as number) > (a[0] as number) ? b : a), [0, wanted])[1] as number;
}

describe('headLogprobs without negligible tokens', () => {
  for (const { wanted, ...shape } of FILTERED) {
    const { rows, width, vocabulary } = shape;
    for (const threads of [1, 4, 64]) {
      it(`(${rows}, ${width}) by ${vocabulary}, below ${wanted}, ${threads} threads a row`, async () => {
        const data = draw(rows + vocabulary, shape);
        const size = { tokens: rows, width, vocabulary };
        const strips = vocabularyStrips(rows, vocabulary);
        const { hidden, head, targets, upstream } = data;
        const slopes = (eps: number) =>
          reference.headLogprobBackwardFiltered(upstream, hidden, head, targets, size, eps, strips);
        const filterEps = between(slopes(wanted).compared, wanted);
        const { dhidden, dweight, leftOut } = slopes(filterEps);
        const exact = truth(data, shape);
        const tolerance = tolerances(data, shape);
        const longest = Math.sqrt(Math.max(...squares(Float64Array.from(head), width)));
        const off = squares(
          dhidden.map((d, i) => d - (exact.slopes.dhidden[i] as number)),
          width,
        );
        for (const [n, square] of off.entries()) {
          const bound = Math.abs(upstream[n] as number) * (leftOut[n] as number) * longest;
          expect(Math.sqrt(square)).to.be.at.most(bound + 1e-12);
        }

        for (const trained of [true, false]) {
          const { gpu, check } = guards(await testGpu(), threads);
          const inputs = upload(gpu, data, shape);
          inputs.hidden.requiresGrad = true;
          const dhead = trained ? train(gpu, inputs.head, head) : undefined;
          const result = await run(gpu, inputs, upstream, filterEps);
          const label = `with a ${trained ? 'trained' : 'frozen'} head`;
          expectValues(result, exact.values, tolerance.value);
          expectClose(result.dhidden, dhidden, { ...tolerance.gradient, label: `d hidden ${label}` });
          if (dhead) {
            const added = dweight.map((d, i) => d + (head[i] as number));
            expectClose(await dhead.toArray(gpu), added, { ...tolerance.gradient, label: 'd head' });
          }
          await check();
        }
      });
    }
  }

  it('leaves a target, and no other, to a row without a likely token', async () => {
    const { gpu, check } = guards(await testGpu());
    const shape = { rows: 6, width: 4, vocabulary: 128 };
    const data = { ...draw(3, shape), head: new Float32Array(128 * 4) };
    const { hidden, head, targets } = upload(gpu, data, shape);
    // Not a parameter: its gradient is set, where that of one is added to.
    head.requiresGrad = true;
    const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const { logprobs } = headLogprobs(tape, hidden, head, targets, { filterEps: 0.1 });
    logprobs.grad = Tensor.from(gpu, data.upstream, [shape.rows], 'upstream');
    tape.backward(head, keep);
    const dhead = await (head.grad as unknown as Tensor).toArray(gpu);
    const expected = new Float64Array(128 * 4);
    for (const [n, target] of data.targets.entries()) {
      for (let i = 0; i < 4; i++)
        expected[target * 4 + i] += data.upstream[n] * (1 - 1 / 128) * data.hidden[n * 4 + i];
    }
    expectClose(dhead, expected, { ...GRADIENT, label: 'd head' });
    await check();
  });

  it('reads a frozen head in the format it lies in', async () => {
    const { gpu, check } = guards(await testGpu());
    const shape = { rows: 6, width: 256, vocabulary: 253 };
    for (const dtype of ['bf16', 'q8_0', 'q4_k'] as const) {
      const { data: bytes, values } = randomWeights(dtype, 253 * 256, 1);
      const data = { ...draw(5, shape), head: Float32Array.from(values) };
      data.hidden = data.hidden.map((x) => x / 16);
      const inputs = upload(gpu, data, shape);
      inputs.hidden.requiresGrad = true;
      const dense = await run(gpu, inputs, data.upstream, 2 ** -8);
      inputs.hidden.grad = undefined;
      const head = weightsFrom(gpu, bytes, [253, 256], dtype);
      const { dhidden } = await run(gpu, { ...inputs, head }, data.upstream, 2 ** -8);
      requireSameBytes(dhidden, dense.dhidden, dtype);
    }
    await check();
  });

  it('is another way to a gradient only above 0', async () => {
    const shape = { rows: 42, width: 64, vocabulary: 431 };
    const entries = async (filterEps?: number) => {
      const gpu = (await testGpu()).countingCopy();
      const inputs = upload(gpu, draw(4, shape), shape);
      inputs.hidden.requiresGrad = true;
      await run(gpu, inputs, new Float32Array(42), filterEps);
      return gpu.wantedPipelines.map(({ entry }) => entry);
    };
    const exact = await entries();
    expect(exact).to.include('weigh').and.not.include('pull_sparse');
    expect(await entries(0)).to.deep.equal(exact);
    expect(await entries(2 ** -12))
      .to.include('pull_sparse')
      .and.not.include('weigh');
  });
});

/** ‖row‖² of every row. */
function squares(values: Float64Array, width: number): number[] {
  return Array.from({ length: values.length / width }, (_, n) =>
    values.subarray(n * width, (n + 1) * width).reduce((sum, x) => sum + x * x, 0),
  );
}
