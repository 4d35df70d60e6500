/** Rows by index: rows read several times, rows never read, and an index without its inverse. */
import { expect } from 'chai';
import { gather } from '../../src/ops/gather.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { scaled } from '../reference/arrays.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/gather.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

/** For every row of the table the positions that read it, ascending. */
function inverse(ids: Uint32Array, rows: number): { offsets: Uint32Array; entries: Uint32Array } {
  const readers = Array.from({ length: rows }, (_, row) => [...ids.keys()].filter((i) => ids[i] === row));
  const offsets = new Uint32Array(rows + 1);
  readers.forEach((list, row) => {
    offsets[row + 1] = offsets[row] + list.length;
  });
  return { offsets, entries: Uint32Array.from(readers.flat()) };
}

describe('gather', () => {
  for (const [rows, count, cols, scale] of [
    [1, 1, 1, 1],
    [6, 42, 5, 1],
    [123, 6, 42, 5.5],
    [42, 431, 16, 0.25],
  ]) {
    it(`${count} of ${rows} rows of ${cols}, times ${scale}`, async () => {
      const { normals, ints } = random(rows);
      const table = Float32Array.from(normals(rows * cols));
      const indices = ints(count, rows);
      const { offsets, entries } = inverse(indices, rows);
      await checkOp(await testGpu(), {
        label: 'gather',
        inputs: {
          table: { values: table, shape: [rows, cols], trained: true },
          indices: { values: indices, shape: [count] },
          offsets: { values: offsets, shape: [rows + 1] },
          entries: { values: entries, shape: [count] },
        },
        run: (tape, { table, ...index }) => gather(tape, table, index, scale),
        value: () => scaled(reference.gather(table, indices, cols), scale),
        gradients: (dy) => ({ table: scaled(reference.gatherBackward(dy, indices, rows, cols), scale) }),
        // Values are copied, and factors exact in a few bits; a gradient sums about 431 / 42 terms.
        tolerance: { value: { relative: 1e-7 }, gradient: { absolute: 2e-6, relative: 1e-6 } },
      });
    });
  }

  it('reports that a gradient needs the inverse index', async () => {
    const gpu = await testGpu();
    const tape = Tape.forTraining(gpu);
    const table = Tensor.from(gpu, new Float32Array(8), [4, 2], 'embedding');
    table.requiresGrad = true;
    const y = gather(tape, table, { indices: Tensor.from(gpu, Uint32Array.of(1, 1), [2]) });
    y.grad = Tensor.from(gpu, new Float32Array(4), [2, 2]);
    expect(() => tape.backward()).to.throw(
      'gather: embedding (4, 2) f32 needs a gradient, but the index has no inverse',
    );
  });
});
