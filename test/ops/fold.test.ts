/** Weights folded for decoding, compared with float64: every format, several adapters, gains, and biases of some weights. */
import { type FoldedPart, fold, stackLength } from '../../src/ops/fold.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { DTYPES, randomWeights, weightsFrom } from '../support/weights.ts';

describe('fold', () => {
  for (const [i, dtype] of DTYPES.entries()) {
    const offset = i % 2 === 1;
    it(`${dtype}: two layers in one, with ${i % 3} adapters on the first${offset ? ', the gain counted from one' : ''}`, async () => {
      const { gpu, check } = guards(await testGpu());
      const { normals } = random(i);
      const k = 256;
      const gain = Float32Array.from(normals(k));
      const parts: FoldedPart[] = [];
      const expected: number[] = [];
      const biases: number[] = [];
      for (const [part, rows] of [8, 20].entries()) {
        const { data, values } = randomWeights(dtype, rows * k, part);
        const sums = Float64Array.from(values);
        const adapters = [3, 8].slice(0, part === 0 ? i % 3 : 0).map((rank) => {
          const [a, b] = [rank * k, rows * rank].map((count) => Float32Array.from(normals(count))) as [
            Float32Array,
            Float32Array,
          ];
          for (let at = 0; at < sums.length; at++) {
            const [row, column] = [Math.floor(at / k), at % k];
            for (let r = 0; r < rank; r++) sums[at] += 0.5 * b[row * rank + r] * a[r * k + column];
          }
          return { a: Tensor.from(gpu, a, [rank, k]), b: Tensor.from(gpu, b, [rows, rank]), scale: 0.5 };
        });
        // Only the second has a bias: the first one's are zeros.
        const bias = Float32Array.from(normals(rows));
        const weight = weightsFrom(gpu, data, [rows, k], dtype);
        parts.push({ weight, adapters, bias: part === 1 ? Tensor.from(gpu, bias, [rows]) : undefined });
        expected.push(...sums.map((value, at) => value * (gain[at % k] + (offset ? 1 : 0))));
        biases.push(...(part === 1 ? bias : new Float32Array(rows)));
      }
      const stack = Tensor.from(gpu, new Float32Array(stackLength(parts)), [stackLength(parts)]);
      fold(gpu, parts, { weight: Tensor.from(gpu, gain, [k]), offset }, stack);
      const found = await stack.toArray(gpu);
      await check();
      // Up to eleven products of three numbers around 1, with as many roundings.
      expectClose(found, [...expected, ...biases], { absolute: 2e-5, relative: 2e-6 });
    });
  }
});
