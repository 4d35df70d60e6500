/** The bias of a linear layer: added before the product, and its gradient without the gradient of a frozen weight. */
import { linear as linearLayer } from '../../src/ops/linear.ts';
import { random } from '../reference/compare.ts';
import { linear, linearBackwardInput } from '../reference/linear.ts';
import { coarseLinear } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

/** (N, in, out), odd ones for the general kernel and multiples of 4 for the tiled one, with and without slices. */
const SHAPES: readonly [number, number, number][] = [
  [1, 1, 1],
  [6, 42, 123],
  [1, 8, 4],
  [123, 48, 20],
  [31, 512, 8],
];

// Standard normals: sums have up to 512 terms of size 1.
const SUMS = { absolute: 1e-4, relative: 1e-5 };

const normals = (seed: number, length: number): Float32Array =>
  Float32Array.from(random(seed).normals(length));

describe('bias', () => {
  for (const [rows, inFeatures, outFeatures] of SHAPES) {
    it(`(${rows}, ${inFeatures}) to ${outFeatures}`, async () => {
      const shape = { rows, inFeatures, outFeatures };
      const x = normals(rows + 2, rows * inFeatures);
      const weight = normals(rows + 3, outFeatures * inFeatures);
      const bias = normals(rows + 4, outFeatures);
      await checkOp(await testGpu(), {
        label: 'linear with a bias',
        inputs: {
          x: { values: x, shape: [rows, inFeatures], trained: true },
          weight: { values: weight, shape: [outFeatures, inFeatures] },
          bias: { values: bias, shape: [outFeatures], trained: true },
        },
        run: (tape, t) => linearLayer(tape, t.x, t.weight, { bias: t.bias }),
        value: () => linear(x, weight, shape).map((value, i) => value + bias[i % outFeatures]),
        gradients: (dy) => ({
          x: linearBackwardInput(dy, weight, shape),
          bias: Float64Array.from(bias, (_, i) => {
            let sum = 0;
            for (let row = 0; row < rows; row++) sum += dy[row * outFeatures + i];
            return sum;
          }),
        }),
        tolerance: {
          value: { ...SUMS, absolute: SUMS.absolute + coarseLinear(x, weight, shape) },
          gradient: SUMS,
        },
      });
    });
  }
});
