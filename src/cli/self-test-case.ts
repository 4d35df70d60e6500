/**
 * Parts of the self-test's cases: their type, random inputs, and float64 reference formulas.
 */
import type { Random } from '../data/random.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Tape } from '../tensor/tape.ts';

export interface SelfTestCase {
  name: string;
  tolerance: number;
  /** The device's result, and the correct one. */
  run(gpu: Gpu, tape: Tape, random: Random): Promise<{ found: ArrayLike<number>; expected: number[] }>;
}

export function normal(random: Random, length: number, scale = 1): Float32Array {
  return Float32Array.from({ length }, () => scale * random.normal());
}

export function rowsOf(values: Float32Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, i) => [
    ...values.subarray(i * width, (i + 1) * width),
  ]);
}

export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

export function logSoftmax(row: ArrayLike<number>): number[] {
  const logits = Array.from(row);
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const total = logits.reduce((sum, value) => sum + Math.exp(value - most), 0);
  return logits.map((value) => value - most - Math.log(total));
}
