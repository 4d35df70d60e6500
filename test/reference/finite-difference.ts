/**
 * Gradients by central differences, with which every backward pass here and those of whole models on the GPU are compared.
 * Slow, since each element takes two evaluations, so `samples` picks a few elements of a large array.
 */
import { random } from './compare.ts';

export interface FiniteDifferenceOptions {
  /** Step relative to max(1, |x|); the default suits float64 and smooth functions. */
  step?: number;
  /** How many elements to perturb, chosen from `seed`; all of them by default. */
  samples?: number;
  seed?: number;
}

/** One element of a gradient measured by differences. */
export interface Slope {
  index: number;
  value: number;
}

/** (f(x + h e_i) - f(x - h e_i)) / 2h for some or all i. `f` reads the array it is given; x is restored afterwards. */
export function finiteDifferences(
  f: (x: Float64Array) => number,
  x: Float64Array,
  options: FiniteDifferenceOptions = {},
): Slope[] {
  const { step = 1e-5, samples = x.length, seed = 1 } = options;
  const indices = samples < x.length ? [...random(seed).ints(samples, x.length)] : [...x.keys()];
  return indices.map((index) => {
    const kept = x[index];
    const h = step * Math.max(1, Math.abs(kept));
    x[index] = kept + h;
    const above = f(x);
    x[index] = kept - h;
    const below = f(x);
    x[index] = kept;
    return { index, value: (above - below) / (2 * h) };
  });
}
