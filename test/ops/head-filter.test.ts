/** The fused head's gradient without negligible tokens, compared with a float64 reference that leaves out the same ones. */
import { expect } from 'chai';
import { vocabularyStrips } from '../../src/ops/head-strips.ts';
import { headLogprobs } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../reference/compare.ts';
import * as reference from '../reference/token-logprob.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import {
  draw,
  expectValues,
  GRADIENT,
  run,
  type Shape,
  tolerances,
  train,
  truth,
  upload,
} from '../support/head-logprob.ts';
import { requireSameBytes } from '../support/op.ts';
import { randomWeights, weightsFrom } from '../support/weights.ts';

// One strip; several strips with several stretches; more rows than a stretch; everything but the targets left out; nothing
// left out.
const FILTERED: readonly (Shape & { wanted: number })[] = [
  { rows: 42, width: 123, vocabulary: 64, wanted: 2 ** -6 },
  { rows: 6, width: 64, vocabulary: 65, wanted: 2 ** -5 },
  { rows: 123, width: 42, vocabulary: 431, wanted: 2 ** -8 },
  { rows: 20, width: 8, vocabulary: 4321, wanted: 2 ** -10 },
  { rows: 1100, width: 4, vocabulary: 65, wanted: 2 ** -4 },
  { rows: 6, width: 42, vocabulary: 431, wanted: 0.99 },
  { rows: 42, width: 42, vocabulary: 431, wanted: 1e-30 },
];

/** The middle of the widest gap near the wanted number, so that rounding moves nothing across it. */
function between(numbers: readonly Float64Array[], wanted: number): number {
  const near = numbers.flatMap((some) => [...some.filter((p) => Math.abs(p / wanted - 1) < 0.1)]);
  const sorted = near.sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((p, i) => [p - sorted[i], (p + sorted[i]) / 2]);
  return gaps.reduce((a, b) => (b[0] > a[0] ? b : a), [0, wanted])[1];
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
          dhidden.map((d, i) => d - exact.slopes.dhidden[i]),
          width,
        );
        for (const [n, square] of off.entries()) {
          const bound = Math.abs(upstream[n]) * leftOut[n] * longest;
          expect(Math.sqrt(square)).to.be.at.most(bound + 1e-12);
        }

        for (const trained of [true, false]) {
          const { gpu, check } = guards(await testGpu(), threads);
          const inputs = upload(gpu, data, shape);
          inputs.hidden.requiresGrad = true;
          const dhead = trained ? train(gpu, inputs.head, head) : undefined;
          const result = await run(gpu, inputs, upstream, { filterEps });
          const label = `with a ${trained ? 'trained' : 'frozen'} head`;
          expectValues(result, exact.values, tolerance.value);
          expectClose(result.dhidden, dhidden, { ...tolerance.gradient, label: `d hidden ${label}` });
          if (dhead) {
            const added = dweight.map((d, i) => d + head[i]);
            expectClose(await dhead.toArray(gpu), added, { ...tolerance.gradient, label: 'd head' });
          }
          await check();
        }
      });
    }
  }

  it('leaves only the target in a row without a likely token', async () => {
    const { gpu, check } = guards(await testGpu());
    const shape = { rows: 6, width: 4, vocabulary: 128 };
    const data = { ...draw(3, shape), head: new Float32Array(128 * 4) };
    const { hidden, head, targets } = upload(gpu, data, shape);
    // Not a parameter: its gradient is set, whereas a parameter's is added to.
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

  it('reads a frozen head in its storage format', async () => {
    const { gpu, check } = guards(await testGpu());
    const shape = { rows: 6, width: 256, vocabulary: 253 };
    for (const dtype of ['bf16', 'q8_0', 'q4_k'] as const) {
      const { data: bytes, values } = randomWeights(dtype, 253 * 256, 1);
      const data = { ...draw(5, shape), head: Float32Array.from(values) };
      data.hidden = data.hidden.map((x) => x / 16);
      const inputs = upload(gpu, data, shape);
      inputs.hidden.requiresGrad = true;
      const dense = await run(gpu, inputs, data.upstream, { filterEps: 2 ** -8 });
      inputs.hidden.grad = undefined;
      const head = weightsFrom(gpu, bytes, [253, 256], dtype);
      const { dhidden } = await run(gpu, { ...inputs, head }, data.upstream, { filterEps: 2 ** -8 });
      requireSameBytes(dhidden, dense.dhidden, dtype);
    }
    await check();
  });

  it('only changes the gradient above 0', async () => {
    const shape = { rows: 42, width: 64, vocabulary: 431 };
    const entries = async (filterEps?: number) => {
      const gpu = (await testGpu()).countingCopy();
      const inputs = upload(gpu, draw(4, shape), shape);
      inputs.hidden.requiresGrad = true;
      await run(gpu, inputs, new Float32Array(42), { filterEps });
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
