/**
 * Operations that need several dispatches or larger workgroups to stay within the loop limit, against float64: with a very low
 * limit at small sizes, and with the real limit at large ones.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { LOOP_LIMIT } from '../../src/gpu/loops.ts';
import { LOSSES } from '../../src/losses/catalogue.ts';
import { gather } from '../../src/ops/gather.ts';
import { gradNorm } from '../../src/ops/grad-norm.ts';
import { HALVES } from '../../src/ops/halves.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { linear } from '../../src/ops/linear.ts';
import { MOST_TERMS, PRODUCT_VARIANTS, planProduct } from '../../src/ops/matmul.ts';
import { product } from '../../src/ops/product.ts';
import type { Layout } from '../../src/ops/product-size.ts';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { runPairs } from '../losses/run-loss.ts';
import { scaled } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as gathers from '../reference/gather.ts';
import * as norms from '../reference/grad-norm.ts';
import { layerNormBackward, layerNorm as layerNormOf } from '../reference/layer-norm.ts';
import * as linears from '../reference/linear.ts';
import * as losses from '../reference/losses.ts';
import { rmsNormBackward, rmsNorm as rmsNormOf } from '../reference/rms-norm.ts';
import { coarseLinear } from '../support/coarse.ts';
import { gpuEndingLoops } from '../support/ending-loops.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { draw, expectValues, run, tolerances, train, truth, upload } from '../support/head-logprob.ts';
import { asDevices, asking, checkOp, requireSameBytes } from '../support/op.ts';

/** A limit at which parts of a sum have 64 rows, the fewest possible. */
const FEW = 100;

const limited = (gpu: Gpu, loopLimit: number): Gpu => Object.create(gpu, { loopLimit: { value: loopLimit } });

async function fewLoops(loopLimit = FEW): Promise<{ name: string; gpu: Gpu }[]> {
  return asDevices(await testGpu()).map(({ name, gpu }) => ({ name, gpu: limited(gpu, loopLimit) }));
}

const normals = (seed: number, length: number) => Float32Array.from(random(seed).normals(length));

// Sums of 431 terms of size 1.
const SUMS = { absolute: 1e-4, relative: 1e-5 };

describe('with a low loop limit', () => {
  it('a linear layer of odd sizes, its bias and its gradients', async () => {
    const [rows, inFeatures, outFeatures] = [431, 203, 6];
    const shape = { rows, inFeatures, outFeatures };
    const [x, weight, bias] = [
      normals(1, rows * inFeatures),
      normals(2, outFeatures * inFeatures),
      normals(3, outFeatures),
    ] as const;
    await checkOp(
      await testGpu(),
      {
        label: 'linear in parts',
        inputs: {
          x: { values: x, shape: [rows, inFeatures], trained: true },
          weight: { values: weight, shape: [outFeatures, inFeatures], trained: true },
          bias: { values: bias, shape: [outFeatures], trained: true },
        },
        run: (tape, t) => linear(tape, t.x, t.weight, { bias: t.bias }),
        value: () => linears.linear(x, weight, shape).map((y, i) => y + bias[i % outFeatures]),
        gradients: (dy) => ({
          x: linears.linearBackwardInput(dy, weight, shape),
          weight: linears.linearBackwardWeight(dy, x, shape),
          bias: bias.map((_, i) => {
            let sum = 0;
            for (let row = 0; row < rows; row++) sum += dy[row * outFeatures + i];
            return sum;
          }),
        }),
        tolerance: {
          value: { ...SUMS, absolute: SUMS.absolute + coarseLinear(x, weight, shape) },
          gradient: SUMS,
        },
      },
      await fewLoops(),
    );
  });

  // Rows that one thread may loop over, and rows that are too long for that.
  for (const cols of [16, 123]) {
    it(`norms over rows of ${cols}, and the gradients of their weights`, async () => {
      const rows = 200;
      const [x, weight, bias] = [normals(4, rows * cols), normals(5, cols), normals(6, cols)] as const;
      const shape = { rows, cols, eps: 1e-5 };
      const inputs = {
        x: { values: x, shape: [rows, cols], trained: true },
        weight: { values: weight, shape: [cols], trained: true },
      };
      await checkOp(
        await testGpu(),
        {
          label: 'rms norm in parts',
          inputs,
          run: (tape, t) => rmsNorm(tape, t.x, t.weight, { eps: 1e-5 }),
          value: () => rmsNormOf(x, weight, shape).y,
          gradients: (dy) => {
            const { rstd } = rmsNormOf(x, weight, shape);
            const { dx, dweight } = rmsNormBackward(dy, x, weight, rstd, shape);
            return { x: dx, weight: dweight };
          },
          tolerance: { value: SUMS, gradient: SUMS },
        },
        await fewLoops(),
      );
      await checkOp(
        await testGpu(),
        {
          label: 'layer norm in parts',
          inputs: { ...inputs, bias: { values: bias, shape: [cols], trained: true } },
          run: (tape, t) => layerNorm(tape, t.x, t.weight, t.bias, 1e-5),
          value: () => layerNormOf(x, weight, bias, shape).y,
          gradients: (dy) => {
            const { dx, dweight, dbias } = layerNormBackward(
              dy,
              weight,
              layerNormOf(x, weight, bias, shape),
              shape,
            );
            return { x: dx, weight: dweight, bias: dbias };
          },
          tolerance: { value: SUMS, gradient: SUMS },
        },
        await fewLoops(),
      );
    });
  }

  it('the gradient of a row with more readers than a kernel may loop over', async () => {
    const [rows, count, cols, scale] = [3, 431, 5, 0.5];
    const table = normals(7, rows * cols);
    // The second row is never read; the readers of the last fit into one part.
    const indices = Uint32Array.from({ length: count }, (_, i) => (i % 11 === 0 ? 2 : 0));
    const places = (row: number) => [...indices.keys()].filter((i) => indices[i] === row);
    const entries = Uint32Array.from([...places(0), ...places(2)]);
    const most = places(0).length;
    await checkOp(
      await testGpu(),
      {
        label: 'gather in parts',
        inputs: {
          table: { values: table, shape: [rows, cols], trained: true },
          indices: { values: indices, shape: [count] },
          offsets: { values: Uint32Array.of(0, most, most, count), shape: [rows + 1] },
          entries: { values: entries, shape: [count] },
        },
        run: (tape, { table: t, ...index }) => gather(tape, t, index, scale),
        value: () => scaled(gathers.gather(table, indices, cols), scale),
        gradients: (dy) => ({ table: scaled(gathers.gatherBackward(dy, indices, rows, cols), scale) }),
        tolerance: { value: { relative: 1e-7 }, gradient: SUMS },
      },
      await fewLoops(),
    );
  });

  it('the norm of more gradients than 256 workgroups may loop over', async () => {
    const gradients = normals(8, 20_000);
    const norm = norms.gradNorm([gradients]);
    for (const { gpu: device } of await fewLoops(16)) {
      const { gpu, check } = guards(device);
      const clip = gpu.pool.allocate(8, 'clip');
      gradNorm(gpu, gpu.upload(gradients, 'gradients'), clip, 1);
      const [found] = new Float32Array(await gpu.read(clip), 0, 1);
      expect(found).to.be.closeTo(norm, 2e-6 * norm);
      await check();
    }
  });

  it('packed halves of long rows, bit-identical', async () => {
    const [rows, cols] = [6, 1224];
    const x = normals(9, rows * cols);
    const packed = async (device: Gpu) => {
      const { gpu, check } = guards(device);
      const given = Tensor.from(gpu, x, [rows, cols]);
      const half = new Tensor(gpu.pool.allocate(4 * rows * (2 + cols / 2), 'halves'), [rows, 2 + cols / 2]);
      const back = new Tensor(gpu.pool.allocate(4 * rows * cols, 'back'), [rows, cols]);
      HALVES.pack(gpu, given, half);
      HALVES.unpack(gpu, half, back);
      const values = await back.toArray(gpu);
      await check();
      return values;
    };
    const whole = await packed(await testGpu());
    for (const { name, gpu } of await fewLoops()) requireSameBytes(await packed(gpu), whole, name);
  });

  it('the fused head if all tokens are likely', async () => {
    const shape = { rows: 150, width: 42, vocabulary: 431 };
    const data = draw(10, shape);
    const exact = truth(data, shape);
    const tolerance = tolerances(data, shape);
    for (const { name, gpu: device } of await fewLoops(2500)) {
      const { gpu, check } = guards(device);
      const inputs = upload(gpu, data, shape);
      inputs.hidden.requiresGrad = true;
      const dhead = train(gpu, inputs.head, new Float32Array(data.head.length));
      const result = await run(gpu, inputs, data.upstream, { filterEps: 1e-30 });
      expectValues(result, exact.values, tolerance.value);
      expectClose(result.dhidden, exact.slopes.dhidden, {
        ...tolerance.gradient,
        label: `${name}: d hidden`,
      });
      const found = await dhead.toArray(gpu);
      expectClose(found, exact.slopes.dweight, { ...tolerance.gradient, label: `${name}: d head` });
      await check();
    }
  });
});

describe('products with more terms than a thread may sum', () => {
  const [m, n] = [8, 12];
  const k = MOST_TERMS + 76;
  for (const layout of ['nt', 'nn', 'tn'] as const satisfies readonly Layout[]) {
    it(`${layout}, by every variant`, async () => {
      const [a, b] = [normals(11, m * k), normals(12, k * n)] as const;
      const at = (i: number, j: number, t: number) =>
        a[layout === 'tn' ? t * m + i : i * k + t] * b[layout === 'nt' ? j * k + t : t * n + j];
      const expected = Float64Array.from({ length: m * n }, (_, e) => {
        let sum = 0;
        for (let t = 0; t < k; t++) sum += at(Math.floor(e / n), e % n, t);
        return 1 + 0.5 * sum;
      });
      for (const { name: device, gpu: real } of asDevices(await testGpu())) {
        for (const { name, reduced } of PRODUCT_VARIANTS) {
          if (reduced) continue; // these are planned as the others are
          const { gpu, check } = guards(asking(real, name));
          const c = gpu.upload(new Float32Array(m * n).fill(1), 'c');
          const options = { scale: 0.5, accumulate: 1 } as const;
          product(gpu, layout, gpu.upload(a, 'a'), gpu.upload(b, 'b'), c, { m, n, k }, options);
          // A sum of 49,000 terms of size 1 is about 220.
          const found = new Float32Array(await gpu.read(c), 0, m * n);
          expectClose(found, expected, { absolute: 2e-2, label: `${name}, ${device}` });
          await check();
        }
      }
    });
  }

  it('take no memory for slices where they run over tokens', async () => {
    // A GPU uses slices here to have enough threads.
    const [software] = asDevices(await testGpu());
    const gpu = software.gpu.countingCopy();
    const [m, n, k] = [256, 256, 2 * MOST_TERMS];
    const [a, b, c] = [k * m, k * n, m * n].map((length) => gpu.pool.allocate(4 * length, 'matrix'));
    const { peak } = gpu.memory();
    product(gpu, 'tn', a, b, c, { m, n, k });
    expect(gpu.memory().peak).to.equal(peak);
  });

  it('are cut into slices even if there are many results', () => {
    const plain = { format: 'f32', adapter: 'software', layout: 'nn', m: 4096, n: 4096 } as const;
    expect(planProduct({ ...plain, k: MOST_TERMS }).slices).to.equal(1);
    expect(planProduct({ ...plain, k: MOST_TERMS + 4 }).slices).to.equal(2);
  });
});

describe('objectives that rank a large batch', () => {
  for (const name of ['aot', 'aot_unpaired']) {
    it(name, async () => {
      const gpu = await gpuEndingLoops(LOOP_LIMIT);
      const count = 4321;
      const { normals: drawn } = random(13);
      // Multiples of 1/64, so that differences are exact and values are often equal.
      const column = () => Float32Array.from(drawn(count, 5), (x) => Math.round(64 * x) / 64);
      const pairs = {
        policyChosen: column(),
        policyRejected: column(),
        referenceChosen: column(),
        referenceRejected: column(),
      };
      const options = { beta: 0.5, labelSmoothing: 0 };
      const found = await runPairs(LOSSES[name], pairs, options, { gpu });
      const expected = losses.pairwise(name, pairs, options);
      expectClose(found.losses, expected.losses, { absolute: 1e-5, relative: 1e-5 });
      gpu.dispose();
    });
  }
});
