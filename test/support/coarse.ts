/**
 * What tests allow in addition to float32's tolerance when the suite runs with a variant that rounds the factors of forward
 * products to half precision (`npm test -- --variant f16-tiles`); otherwise it is all zero. No other file depends on such
 * variants.
 */
import { PRODUCT_VARIANTS } from '../../src/ops/matmul.ts';
import type { Reals } from '../reference/arrays.ts';
import { maxAbs } from '../reference/compare.ts';
import { type LinearShape, linear } from '../reference/linear.ts';

/**
 * A factor of 11 bits has a relative error of at most 2⁻¹¹, so an element of a product is wrong by at most this share of Σ
 * |a| |b|.
 */
export const OF_MAGNITUDES = 2 ** -10;

const asked: readonly string[] = globalThis.testVariants ?? [];

/** Whether such a variant is forced. */
export const isCoarse = PRODUCT_VARIANTS.some(({ name, reduced }) => reduced && asked.includes(name));

export const COARSE = isCoarse ? OF_MAGNITUDES : 0;

/**
 * Error of the output of a fixture's model, by relative L2: about 16 products in a row, including adapters and the head.
 * Their errors are independent and add up like a random walk.
 */
export const COARSE_PASS = Math.sqrt(16) * COARSE;

/**
 * The difference of two passes over the same factors: some factors that differ in float32 are rounded to different numbers
 * of 11 bits.
 */
export const COARSE_TIPS = COARSE / 2;

/** Gradients of a pass: activations, upstream gradients, probabilities and norms, each with such an error. */
export const COARSE_GRADIENT = 4 * COARSE_PASS;

/**
 * The tolerance of a metric compared with TRL's. That of float32 says how much of an error reaches the metric, including
 * steps of the optimizer, if gradients agree to 1e-4; here they agree to {@link COARSE_GRADIENT}. In a share of pairs, one
 * pair in four may count for the other side, because its margin is smaller than its error.
 */
export function coarseBound(metric: string, bound: number): number {
  if (!isCoarse) return bound;
  return /accurac/i.test(metric) ? 1 / 4 : bound * (1 + COARSE_GRADIENT / 1e-4);
}

/**
 * Trained values, except for those that Adam's first step may have moved in the other direction: its length does not depend
 * on the gradient's size, and some gradients are smaller than their error. At most one in twenty, for which the expected
 * value is returned.
 */
export function settled(found: Float32Array, expected: Reals): Float32Array {
  const off = (i: number) => Math.abs(found[i] - expected[i]);
  const tipped = isCoarse ? [...found.keys()].sort((a, b) => off(b) - off(a)) : [];
  const result = found.slice();
  for (const i of tipped.slice(0, found.length / 20)) result[i] = expected[i];
  return result;
}

/** The largest error of an element of x (rows, in) · W (out, in)ᵀ. */
export function coarseLinear(x: Reals, weight: Reals, shape: LinearShape): number {
  const sizes = (values: Reals) => Float64Array.from(values, Math.abs);
  return COARSE * maxAbs(linear(sizes(x), sizes(weight), shape));
}
