/** Linear layers with and without low-rank adapters: values, all gradients, and what a frozen weight must not cost. */
import { expect } from 'chai';
import { linear as linearLayer } from '../../src/ops/linear.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { accumulate } from '../reference/arrays.ts';
import { expectClose, maxAbs, random } from '../reference/compare.ts';
import {
  type LinearShape,
  type LoraAdapter,
  linear,
  linearBackwardInput,
  linearBackwardWeight,
  loraLinear,
  loraLinearBackward,
} from '../reference/linear.ts';
import { COARSE, coarseLinear } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { asDevices, checkOp } from '../support/op.ts';

/** (N, in, out), odd ones for the general kernel and multiples of 4 for the tiled one. */
const SHAPES: readonly [number, number, number][] = [
  [1, 1, 1],
  [6, 42, 123],
  [42, 431, 6],
  [1, 8, 4],
  [123, 48, 20],
  [431, 16, 44],
];

// Inputs, weights and upstream gradients are standard normals, sums have up to 431 terms of size 1: rounding errors are
// near √431 · √431 · 2^-24.
const SUMS = { absolute: 1e-4, relative: 1e-5 };

/** The same, plus the rounding of coarse factors. */
const wider = (coarse: number) => ({ ...SUMS, absolute: SUMS.absolute + coarse });

/** A gradient of A passes through two sums. */
function ofAdapter(
  x: Float32Array,
  weight: Float32Array,
  { a, b, rank, scale }: LoraAdapter,
  shape: LinearShape,
) {
  // Coarse factors: x Aᵀ is rounded once, its product with B twice; the gradient of B adds one such error per row.
  const down = coarseLinear(x, a, { ...shape, outFeatures: rank });
  const up = 2 * scale * down * rank * maxAbs(b);
  return {
    value: { ...wider(coarseLinear(x, weight, shape) + up), l2: 1e-5 + 2 * COARSE },
    gradient: { absolute: 3e-3 + scale * shape.rows * down, relative: 1e-4, l2: 3e-6 + COARSE },
  };
}

const normals = (seed: number, length: number): Float32Array =>
  Float32Array.from(random(seed).normals(length));

describe('linear', () => {
  for (const [rows, inFeatures, outFeatures] of SHAPES) {
    const shape = { rows, inFeatures, outFeatures };
    const title = `(${rows}, ${inFeatures}) to ${outFeatures}`;
    const x = normals(rows, rows * inFeatures);
    const weight = normals(rows + 1, outFeatures * inFeatures);

    it(`${title}: value and gradients`, async () => {
      await checkOp(await testGpu(), {
        label: title,
        inputs: {
          x: { values: x, shape: [rows, inFeatures], trained: true },
          weight: { values: weight, shape: [outFeatures, inFeatures], trained: true },
        },
        run: (tape, inputs) => linearLayer(tape, inputs.x, inputs.weight),
        value: () => linear(x, weight, shape),
        gradients: (dy) => ({
          x: linearBackwardInput(dy, weight, shape),
          weight: linearBackwardWeight(dy, x, shape),
        }),
        tolerance: { value: wider(coarseLinear(x, weight, shape)), gradient: SUMS },
      });
    });

    for (const rank of [1, 4]) {
      it(`${title}: an adapter of rank ${rank}, the weight frozen`, async () => {
        const a = normals(rank + 2, rank * inFeatures);
        const b = normals(rank + 3, outFeatures * rank);
        const adapter = { a, b, rank, scale: 0.75 };
        const { y, narrow } = loraLinear(x, weight, adapter, shape);
        await checkOp(await testGpu(), {
          label: title,
          inputs: {
            x: { values: x, shape: [rows, inFeatures], trained: true },
            weight: { values: weight, shape: [outFeatures, inFeatures] },
            a: { values: a, shape: [rank, inFeatures], trained: true },
            b: { values: b, shape: [outFeatures, rank], trained: true },
          },
          run: (tape, t) => linearLayer(tape, t.x, t.weight, { adapters: [{ a: t.a, b: t.b, scale: 0.75 }] }),
          value: () => y,
          gradients: (dy) => {
            const { dx, da, db } = loraLinearBackward(dy, x, narrow, weight, adapter, shape);
            return { x: dx, a: da, b: db };
          },
          tolerance: ofAdapter(x, weight, adapter, shape),
        });
      });
    }
  }

  for (const [rows, inFeatures, outFeatures] of SHAPES) {
    for (const [rank, hasBias, factor] of [
      [1, true, 1],
      [4, true, 1],
      [8, false, 1],
      [4, true, 0.35],
    ] as const) {
      const terms = `rank ${rank}${hasBias ? ', a bias' : ''}${factor === 1 ? '' : ', scaled'}`;
      const title = `(${rows}, ${inFeatures}) to ${outFeatures}, ${terms}`;
      it(`${title}: added to a residual`, async () => {
        const shape = { rows, inFeatures, outFeatures };
        const [x, weight] = [normals(1, rows * inFeatures), normals(2, outFeatures * inFeatures)];
        const [a, b] = [normals(3, rank * inFeatures), normals(4, outFeatures * rank)];
        const [residual, bias] = [normals(5, rows * outFeatures), normals(6, outFeatures)];
        const adapter = { a, b, rank, scale: 0.75 };
        const { y, narrow } = loraLinear(x, weight, adapter, shape);
        await checkOp(await testGpu(), {
          label: title,
          inputs: {
            x: { values: x, shape: [rows, inFeatures], trained: true },
            weight: { values: weight, shape: [outFeatures, inFeatures], trained: factor !== 1 },
            a: { values: a, shape: [rank, inFeatures], trained: true },
            b: { values: b, shape: [outFeatures, rank], trained: true },
            bias: { values: bias, shape: [outFeatures], trained: hasBias },
            residual: { values: residual, shape: [rows, outFeatures], trained: true },
          },
          run: (tape, t) =>
            linearLayer(tape, t.x, t.weight, {
              adapters: [{ a: t.a, b: t.b, scale: 0.75 }],
              bias: hasBias ? t.bias : undefined,
              residual: t.residual,
              scale: factor,
            }),
          value: () =>
            y.map((sum, i) => factor * (sum + (hasBias ? bias[i % outFeatures] : 0)) + residual[i]),
          gradients: (upstream) => {
            const dy = Float32Array.from(upstream, (value) => factor * value);
            const { dx, da, db } = loraLinearBackward(dy, x, narrow, weight, adapter, shape);
            const dbias = new Float64Array(outFeatures);
            for (let i = 0; i < dy.length; i++) dbias[i % outFeatures] += dy[i];
            const dweight = linearBackwardWeight(dy, x, shape);
            return {
              ...{ x: dx, a: da, b: db, residual: upstream },
              ...(hasBias && { bias: dbias }),
              ...(factor !== 1 && { weight: dweight }),
            };
          },
          tolerance: ofAdapter(x, weight, adapter, shape),
        });
      });
    }
  }

  it('computes layer, adapter and residual in one pass over the result, on a GPU', async () => {
    const { gpu } = asDevices(await testGpu())[1];
    const tape = Tape.forInference(gpu);
    const tensor = (seed: number, shape: readonly number[]) =>
      Tensor.from(gpu, normals(seed, shape[0] * shape[1]), shape);
    const adapter = { a: tensor(1, [4, 16]), b: tensor(2, [12, 4]), scale: 1 };
    const terms = { adapters: [adapter], residual: tensor(3, [6, 12]) };
    const before = gpu.recorder.report.dispatches;
    linearLayer(tape, tensor(4, [6, 16]), tensor(5, [12, 16]), terms);
    expect(gpu.recorder.report.dispatches - before).to.equal(2);
    tape.dispose();
  });

  it('refuses a residual of another shape', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const [x, weight, residual] = [
      [2, 6],
      [3, 6],
      [2, 4],
    ].map((shape) => Tensor.from(gpu, new Float32Array(shape[0] * shape[1]), shape, 'r'));
    expect(() => linearLayer(tape, x, weight, { residual: residual })).to.throw('the residual is r (2, 4)');
  });

  it('adds up several adapters', async () => {
    const shape = { rows: 6, inFeatures: 8, outFeatures: 12 };
    const [x, weight] = [normals(1, 48), normals(2, 96)];
    const adapters = [3, 4].map((rank) => ({
      rank,
      a: normals(rank, rank * 8),
      b: normals(rank + 10, 12 * rank),
      scale: 1 / rank,
    }));
    const y = linear(x, weight, shape);
    for (const adapter of adapters) {
      accumulate(y, loraLinear(x, new Float32Array(96), adapter, shape).y);
    }
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const result = linearLayer(tape, Tensor.from(gpu, x, [6, 8]), Tensor.from(gpu, weight, [12, 8]), {
      adapters: adapters.map(({ a, b, rank, scale }) => ({
        a: Tensor.from(gpu, a, [rank, 8]),
        b: Tensor.from(gpu, b, [12, rank]),
        scale,
      })),
    });
    // Sums of eight terms and three of up to four: magnitudes below 40.
    expectClose(await result.toArray(gpu), y, wider(40 * COARSE));
    tape.dispose();
  });

  it('starts no gradient kernel for a frozen weight', async () => {
    const gpu = await testGpu();
    const dispatches = (trained: boolean): number => {
      const tape = Tape.forTraining(gpu);
      const x = Tensor.from(gpu, normals(1, 48), [6, 8]);
      const weight = Tensor.from(gpu, normals(2, 96), [12, 8]);
      x.requiresGrad = true;
      weight.requiresGrad = trained;
      const y = linearLayer(tape, x, weight);
      y.grad = Tensor.from(gpu, normals(3, 72), [6, 12]);
      const before = gpu.recorder.report.dispatches;
      tape.backward();
      return gpu.recorder.report.dispatches - before;
    };
    expect(dispatches(false)).to.equal(1);
    expect(dispatches(true)).to.equal(2);
  });

  it('names mismatched shapes', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const x = Tensor.from(gpu, new Float32Array(12), [2, 6], 'hidden');
    const weight = Tensor.from(gpu, new Float32Array(12), [3, 4], 'w');
    expect(() => linearLayer(tape, x, weight)).to.throw(
      'linear: x is hidden (2, 6) f32, but the weight is w (3, 4) f32',
    );
  });
});
