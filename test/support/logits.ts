/**
 * Logits for tests: odd shapes, values that overflow a naive sum, masks everywhere. All from seeds and in float32, so that
 * kernel and reference get the same numbers.
 */
import type { Matrix } from '../reference/arrays.ts';
import { random } from '../reference/compare.ts';

/** Odd sizes of rows and vocabulary, up to a vocabulary of 200,000. */
export const SHAPES: readonly Matrix[] = [
  { rows: 1, cols: 1 },
  { rows: 42, cols: 1 },
  { rows: 1, cols: 6 },
  { rows: 6, cols: 42 },
  { rows: 42, cols: 123 },
  { rows: 123, cols: 431 },
  { rows: 431, cols: 6 },
  { rows: 2, cols: 200_000 },
];

/** Kinds of logits. */
export const KINDS = {
  /** A spread like that of a trained model. */
  ordinary: (seed: number, { rows, cols }: Matrix) => Float32Array.from(random(seed).normals(rows * cols, 4)),
  /** Up to ±10,000, where neighboring float32 numbers differ by a thousandth. */
  huge: (seed: number, { rows, cols }: Matrix) => {
    const { uniform } = random(seed);
    return Float32Array.from({ length: rows * cols }, () => 20_000 * uniform() - 10_000);
  },
  /** Near −10,000 or +10,000 by row, and close together: wrong if the shift by the maximum is missing. */
  shifted: (seed: number, { rows, cols }: Matrix) => {
    const { normal } = random(seed);
    const at = (i: number) => (Math.floor(i / cols) % 2 === 0 ? 10_000 : -10_000);
    return Float32Array.from({ length: rows * cols }, (_, i) => at(i) + normal());
  },
  /** A third masked; the first row completely, the second all but its last entry, the third all but its first. */
  masked: (seed: number, { rows, cols }: Matrix) => {
    const { normal, uniform } = random(seed);
    return Float32Array.from({ length: rows * cols }, (_, i) => {
      const [row, column] = [Math.floor(i / cols), i % cols];
      const value = 4 * normal();
      const drawn = uniform() < 1 / 3;
      const kept = row === 0 ? false : row === 1 ? column === cols - 1 : row === 2 ? column === 0 : !drawn;
      return kept ? value : -Infinity;
    });
  },
} as const;

export type Kind = keyof typeof KINDS;

/** Calls `test` for every shape and kind. */
export function eachLogits(test: (kind: Kind, shape: Matrix, logits: Float32Array) => void): void {
  for (const [index, shape] of SHAPES.entries()) {
    for (const kind of Object.keys(KINDS) as Kind[]) test(kind, shape, KINDS[kind](index + 1, shape));
  }
}
