/** Operations on weights in every format: products compared with float64, all else with the same values in f32. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { gather } from '../../src/ops/gather.ts';
import { linear } from '../../src/ops/linear.ts';
import { product } from '../../src/ops/product.ts';
import { isTiled, type Layout } from '../../src/ops/product-size.ts';
import { headLogprobs } from '../../src/ops/token-logprob.ts';
import { bytesOf, FORMATS, type WeightDtype } from '../../src/tensor/formats.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, maxAbs, random, relativeL2 } from '../reference/compare.ts';
import { COARSE } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, asking, requireSameBytes } from '../support/op.ts';
import { DTYPES, randomWeights, weightsFrom } from '../support/weights.ts';

/** (tokens, outputs, blocks in a row): odd outputs for the general kernel, rows of an odd number of blocks, slices on a GPU. */
const SIZES: readonly [number, number, number][] = [
  [5, 7, 3],
  [19, 20, 3],
  [3, 8, 10],
];

/** Formats that workgroups read too: a float, blocks in pairs, blocks of blocks. */
const STAGED: ReadonlySet<string> = new Set(['f16', 'q8_0', 'q4_k']);

function reference(layout: Layout, a: Float32Array, w: Float32Array, m: number, n: number, k: number) {
  return Float64Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let p = 0; p < k; p++) sum += a[i * k + p] * w[layout === 'nt' ? j * k + p : p * n + j];
    return sum;
  });
}

describe('products with weights', () => {
  for (const dtype of DTYPES) {
    for (const layout of ['nt', 'nn'] as const) {
      it(`${layout} in ${dtype}`, async () => {
        const { elements } = FORMATS[dtype];
        const width = Math.max(32, elements);
        const real = await testGpu();
        const staged = { name: 'by workgroups', gpu: asking(real, 'workgroup') };
        for (const { name, gpu: device } of [...asDevices(real), ...(STAGED.has(dtype) ? [staged] : [])]) {
          const { gpu, check } = guards(device);
          for (const [m, out, blocks] of SIZES) {
            const inputs = blocks * width;
            const [n, k] = layout === 'nt' ? [out, inputs] : [inputs, out];
            const { normals } = random(m + out + blocks);
            const { data, values } = randomWeights(dtype, out * inputs, out);
            const a = Float32Array.from(normals(m * k));
            const before = Float32Array.from(normals(m * n));
            const left = gpu.upload(a, 'a');
            const weight = weightsFrom(gpu, data, [out, inputs], dtype);
            const run = async (scale: number, accumulate: 0 | 1) => {
              const c = accumulate ? gpu.upload(before, 'c') : gpu.pool.allocate(before.byteLength, 'c');
              product(gpu, layout, left, weight, c, { m, n, k }, { scale, accumulate });
              return new Float32Array(await gpu.read(c), 0, m * n);
            };
            const sum = reference(layout, a, values, m, n, k);
            // As for products of normals; weights here are as large as 4.
            const magnitude = reference(layout, a.map(Math.abs), values.map(Math.abs), m, n, k);
            const coarse = layout === 'nt' ? COARSE * maxAbs(magnitude) : 0;
            const tolerance = { absolute: 2e-6 * k ** 0.75 + coarse, relative: 1e-6 };
            const label = `${name}: (${m}, ${n}), sum of ${k}`;
            const plain = await run(1, 0);
            expectClose(plain, sum, { ...tolerance, cols: n, label });
            const scaled = sum.map((value, i) => -0.5 * value + before[i]);
            expectClose(await run(-0.5, 1), scaled, { ...tolerance, cols: n, label: `${label}, added` });

            // The same numbers in f32 give the same bytes: a format changes what is read, not how it is summed.
            const dense = gpu.upload(values, 'dense');
            const c = gpu.pool.allocate(before.byteLength, 'c');
            product(gpu, layout, left, dense, c, { m, n, k });
            requireSameBytes(plain, new Float32Array(await gpu.read(c), 0, m * n), label);
          }
          await check();
        }
      });
    }
  }

  it('reads rows of f16 that are not multiples of vectors', async () => {
    const gpu = await testGpu();
    const [m, n, k] = [3, 5, 7];
    expect(isTiled('nt', { m, n, k })).to.equal(false);
    const { data, values } = randomWeights('f16', n * k, 4);
    const a = Float32Array.from(random(5).normals(m * k));
    const weight = weightsFrom(gpu, data, [n, k], 'f16');
    const c = gpu.pool.allocate(m * n * 4, 'c');
    product(gpu, 'nt', gpu.upload(a, 'a'), weight, c, { m, n, k });
    const sum = reference('nt', a, values, m, n, k);
    expectClose(new Float32Array(await gpu.read(c), 0, m * n), sum, { absolute: 2e-6, label: 'f16' });
  });
});

/** A device with small bindings. */
function withBindings(gpu: Gpu, bytes: number): Gpu {
  const limits = { maxStorageBufferBindingSize: bytes, maxBufferSize: gpu.limits.maxBufferSize };
  return Object.create(gpu, { limits: { value: limits } });
}

const WIDTH = 256;
/** Odd, and such that the head has strips of one width in every format. */
const VOCABULARY = 253;
const [ROWS, RANK] = [9, 4];

/** A model of one layer, quantized or not, with a trained adapter: log-probabilities and the adapter's gradients. */
async function tinyModel(gpu: Gpu, dtype: WeightDtype, dense: boolean) {
  const { normals, ints } = random(11);
  const matrix = (rows: number, seed: number) => {
    const { data, values } = randomWeights(dtype, rows * WIDTH, seed);
    const label = `weight ${seed}`;
    return dense
      ? Tensor.from(gpu, values, [rows, WIDTH], label)
      : weightsFrom(gpu, data, [rows, WIDTH], dtype, label);
  };
  const [table, weight, head] = [matrix(VOCABULARY, 1), matrix(WIDTH, 2), matrix(VOCABULARY, 3)];
  const trained = (tensor: Tensor) => {
    tensor.requiresGrad = true;
    tensor.grad = Tensor.from(gpu, new Float32Array(tensor.length), tensor.shape, `d ${tensor.label}`);
    return tensor;
  };
  const [a, b] = [
    [RANK, WIDTH],
    [WIDTH, RANK],
  ].map((shape) => trained(Tensor.from(gpu, Float32Array.from(normals(RANK * WIDTH, 0.05)), shape, 'half')));
  const indices = Tensor.from(gpu, ints(ROWS, VOCABULARY), [ROWS], 'ids');
  const targets = Tensor.from(gpu, ints(ROWS, VOCABULARY), [ROWS], 'targets');
  const upstream = Float32Array.from(normals(ROWS));

  const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
  const x = trained(gather(keep, table, { indices }, 0.05));
  const y = linear(tape, x, weight, { adapters: [{ a, b, scale: 0.01 }] });
  const { logprobs } = headLogprobs(tape, y, head, targets);
  logprobs.grad = Tensor.from(gpu, upstream, [ROWS], 'upstream');
  const values = await logprobs.toArray(gpu);
  const given = logprobs.grad;
  tape.backward();
  const slots = [a, b, x].map(({ grad }) => grad!);
  const gradients = await Promise.all(slots.map((grad) => grad.toArray(gpu)));
  const dead = [table, weight, head, a, b, indices, targets, given, ...slots];
  for (const tensor of dead) gpu.pool.release(tensor);
  keep.dispose();
  return [values, ...gradients];
}

describe('a model on weights', () => {
  for (const dtype of DTYPES.filter((name) => name !== 'f32')) {
    it(`of ${dtype} equals the model on their values, with the same gradients`, async () => {
      for (const { name, gpu } of asDevices(await testGpu())) {
        const expected = await tinyModel(gpu, dtype, true);
        const actual = await tinyModel(gpu, dtype, false);
        for (const [i, values] of expected.entries()) requireSameBytes(actual[i], values, `${name}: ${i}`);
      }
    });
  }

  for (const dtype of ['f32', 'bf16', 'q5_0', 'q6_k'] as const) {
    it(`of ${dtype} that exceed a binding gives the same`, async () => {
      const gpu = await testGpu();
      const expected = await tinyModel(gpu, dtype, false);
      // Enough for half a matrix, or a little more.
      const small = withBindings(gpu, Math.max(40_000, bytesOf(dtype, (WIDTH / 2) * WIDTH)));
      const actual = await tinyModel(small, dtype, false);
      for (const [i, values] of expected.entries()) {
        // Sums of hundreds of products are split differently.
        expect(relativeL2(actual[i], values), `${dtype}: ${i}`).to.be.below(3e-6);
      }
    });
  }

  it("computes a table's gradient in blocks", async () => {
    const gpu = await testGpu();
    const [rows, cols, count] = [431, 6, 60];
    const { normals, ints } = random(4);
    const ids = ints(count, rows);
    const [values, upstream] = [rows * cols, count * cols].map((n) => Float32Array.from(normals(n)));
    const readers = Array.from({ length: rows }, (_, row) => [...ids.keys()].filter((i) => ids[i] === row));
    const offsets = Uint32Array.from([0, ...readers.keys()].map((_, i) => readers.slice(0, i).flat().length));
    const run = async (device: Gpu) => {
      const table = Tensor.from(device, values, [rows, cols], 'table');
      table.requiresGrad = true;
      const tape = Tape.forTraining(device);
      const index = {
        indices: Tensor.from(device, ids, [count]),
        offsets: Tensor.from(device, offsets, [rows + 1]),
        entries: Tensor.from(device, Uint32Array.from(readers.flat()), [count]),
      };
      const y = gather(tape, table, index, 2);
      y.grad = Tensor.from(device, upstream, y.shape, 'upstream');
      const value = await y.toArray(device);
      const keep = Tape.forInference(device);
      tape.backward(table, keep);
      return [value, await (table.grad as unknown as Tensor).toArray(device)];
    };
    const [expected, actual] = [await run(gpu), await run(withBindings(gpu, 4096))];
    for (const [i, all] of expected.entries()) requireSameBytes(actual[i], all, `${i}`);
  });
});
