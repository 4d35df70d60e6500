/** Rotary positions against their float64 reference. */
import { rope, ropeTable } from '../../src/ops/rope.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as reference from '../reference/rope.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

/** Tokens, heads, dimensions of a head, and how many of them are rotated. */
const SHAPES: readonly [number, number, number, number][] = [
  [1, 1, 4, 4],
  [6, 3, 8, 8],
  [42, 2, 20, 20],
  [123, 1, 64, 64],
  [431, 6, 16, 16],
  [7, 3, 8, 2],
  [42, 2, 20, 18],
  [123, 3, 64, 48],
];

describe('rope', () => {
  for (const [rows, heads, headDim, dimensions] of SHAPES) {
    const whole = dimensions === headDim;
    it(`${rows} tokens, ${heads} heads of ${headDim}${whole ? '' : `, ${dimensions} of which turn`}`, async () => {
      const { normals, ints } = random(rows);
      const x = Float32Array.from(normals(rows * heads * headDim));
      const positions = ints(rows, 2048);
      const frequencies = reference.ropeFrequencies(dimensions, 10_000);
      const factor = whole ? 1 : 1.19;
      const turns = ropeTable(2048, frequencies, factor);
      const shape = { rows, heads, headDim, frequencies, factor };
      // The table is rounded once from float64, so that an angle of 2047 is as exact as one of 0: two products and a sum.
      const tolerance = { absolute: 5e-7, relative: 1e-6 };
      await checkOp(await testGpu(), {
        label: 'rope',
        inputs: {
          x: { values: x, shape: [rows, heads * headDim], trained: true },
          positions: { values: positions, shape: [rows] },
          turns: { values: turns, shape: [2048, dimensions / 2, 2] },
        },
        run: (tape, t) => rope(tape, t.x, t.positions, t.turns, headDim),
        value: () => reference.rope(x, positions, shape),
        gradients: (dy) => ({ x: reference.ropeBackward(dy, positions, shape) }),
        tolerance: { value: tolerance, gradient: tolerance },
      });
    });
  }

  it('tabulates cosines and sines that lie on the circle', () => {
    const table = ropeTable(5000, reference.ropeFrequencies(16, 500_000));
    const radii = Float64Array.from({ length: table.length / 2 }, (_, i) =>
      Math.hypot(table[2 * i], table[2 * i + 1]),
    );
    expectClose(radii, new Float64Array(radii.length).fill(1), { absolute: 1e-7 });
  });
});
