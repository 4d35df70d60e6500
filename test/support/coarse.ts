/**
 * What tests allow beside float32's tolerance where the suite runs by a variant that rounds the factors of forward products to
 * half precision (`npm test -- --variant f16-tiles`); all of it is zero otherwise. The one place that knows.
 */
import { PRODUCT_VARIANTS } from '../../src/ops/matmul.ts';
import type { Reals } from '../reference/arrays.ts';
import { maxAbs } from '../reference/compare.ts';
import { type LinearShape, linear } from '../reference/linear.ts';

/** A factor of 11 bits is wrong by at most 2⁻¹¹ of itself, so an element of a product by this share of Σ |a| |b|. */
export const OF_MAGNITUDES = 2 ** -10;

const asked: readonly string[] = globalThis.testVariants ?? [];

/** Whether such a variant is forced. */
export const isCoarse = PRODUCT_VARIANTS.some(({ name, reduced }) => reduced && asked.includes(name));

export const COARSE = isCoarse ? OF_MAGNITUDES : 0;

/**
 * What has gone through a fixture's model, by relative L2: some 16 products in a row, adapters and the head included. Their
 * errors have no common cause and add up like a random walk.
 */
export const COARSE_PASS = Math.sqrt(16) * COARSE;

/** What parts two passes of the same factors: those that a difference of float32 tips over to the next number of 11 bits. */
export const COARSE_TIPS = COARSE / 2;

/** Gradients of a pass: activations, upstream gradients, probabilities and norms, each of them off by as much. */
export const COARSE_GRADIENT = 4 * COARSE_PASS;

/**
 * The bound of a metric beside TRL's. Float32's says how much of an error reaches the metric, steps of the optimizer included,
 * where gradients agree to 1e-4; here they agree to {@link COARSE_GRADIENT}. Of a share of pairs, one in four may count for the other
 * side: its margin is smaller than its error.
 */
export function coarseBound(metric: string, bound: number): number {
  if (!isCoarse) return bound;
  return /accurac/i.test(metric) ? 1 / 4 : bound * (1 + COARSE_GRADIENT / 1e-4);
}

/**
 * Trained values, but for those that Adam's first step may have sent the other way: it is a whole one however small the
 * gradient, and some gradients are smaller than their error. At most one in twenty, taken as expected.
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
