/** A matrix split by columns with weights, so that every part has its own gradient. */
import { expect } from 'chai';
import { add } from '../../src/ops/add.ts';
import { splitColumns } from '../../src/ops/columns.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

describe('splitColumns', () => {
  for (const [rows, width] of [
    [1, 1],
    [6, 42],
    [123, 7],
  ]) {
    it(`(${rows}, 3 · ${width}): the sum of the first part and the last, and twice the middle`, async () => {
      const x = Float32Array.from(random(rows).normals(rows * 3 * width));
      const factors = [1, 2, 1];
      await checkOp(await testGpu(), {
        label: 'splitColumns',
        inputs: { x: { values: x, shape: [rows, 3 * width], trained: true } },
        run: (tape, t) => {
          const [a, b, c] = splitColumns(tape, t.x, [width, width, width]);
          return add(tape, add(tape, a, c), add(tape, b, b));
        },
        value: () =>
          Float64Array.from({ length: rows * width }, (_, at) => {
            const first = Math.floor(at / width) * 3 * width + (at % width);
            return factors.reduce((sum, factor, part) => sum + factor * x[first + part * width], 0);
          }),
        gradients: (dy) => ({
          x: Float64Array.from(x, (_, at) => {
            const [row, column] = [Math.floor(at / (3 * width)), at % (3 * width)];
            return factors[Math.floor(column / width)] * dy[row * width + (column % width)];
          }),
        }),
        // Sums of four numbers.
        tolerance: { value: { absolute: 1e-6 }, gradient: { relative: 1e-7 } },
      });
    });
  }

  it('splits into parts of different widths, in order, and rejects widths with another sum', async () => {
    const gpu = await testGpu();
    const tape = Tape.forInference(gpu);
    const x = Tensor.from(gpu, Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7), [2, 4], 'x');
    const parts = await Promise.all(splitColumns(tape, x, [1, 3]).map((part) => part.toArray(gpu)));
    expect(parts.map((part) => [...part])).to.deep.equal([
      [0, 4],
      [1, 2, 3, 5, 6, 7],
    ]);
    expect(() => splitColumns(tape, x, [2, 1])).to.throw('x (2, 4) f32, but the widths are 2, 1');
    tape.dispose();
  });
});
