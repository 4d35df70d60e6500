/**
 * Numbers and shapes for testing kernels. Deterministic: the same seed gives the same numbers in every browser and in Node.
 */

/** A stream of random numbers; see {@link random}. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** An integer in [0, bound). */
  int(bound: number): number;
  /** `count` normals times `scale`. */
  normals(count: number, scale?: number): Float64Array;
  /** `count` integers in [0, bound). */
  ints(count: number, bound: number): Uint32Array;
}

/** Random numbers from a seed: a 32-bit integer hash of a counter (Wellons' lowbias32), normals by Box and Muller. */
export function random(seed: number): Random {
  let counter = seed >>> 0;
  const bits = (): number => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let x = counter;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    return (x ^ (x >>> 16)) >>> 0;
  };
  const uniform = (): number => bits() / 2 ** 32;
  const normal = (): number => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  };
  const int = (bound: number): number => Math.floor(uniform() * bound);
  return {
    uniform,
    normal,
    int,
    normals: (count, scale = 1) => Float64Array.from({ length: count }, () => scale * normal()),
    ints: (count, bound) => Uint32Array.from({ length: count }, () => int(bound)),
  };
}

/**
 * A random upstream gradient of a shape: standard normals, float32. An upstream gradient of ones would hide a sum over the
 * wrong axis.
 */
export function upstreamGradient(shape: readonly number[], seed = 1): Float32Array {
  return Float32Array.from(random(seed).normals(shape.reduce((product, size) => product * size, 1)));
}

/** Lengths around the sizes that kernels use: vectors of four, workgroups of 64 and 256. */
export const ODD_LENGTHS: readonly number[] = [1, 2, 3, 4, 5, 7, 63, 64, 65, 255, 256, 257, 1000];

const ODD_SIZES = [1, 3, 5, 17, 33];

/**
 * Shapes with this many dimensions and odd sizes: `oddShapes(2)` gives [1, 3], [3, 5], [5, 17], [17, 33] and [33, 1], so
 * that each dimension is once 1 and once the largest.
 */
export function oddShapes(dimensions: number): number[][] {
  return ODD_SIZES.map((_, at) =>
    Array.from({ length: dimensions }, (_, i) => ODD_SIZES[(at + i) % ODD_SIZES.length]),
  );
}
