/**
 * Numbers to compute with, the same for every contestant, from a seed. Fast rather than of high quality, because logits of
 * a large vocabulary are hundreds of millions of numbers. They are never zeros: a kernel may be faster on those.
 */

/** `length` numbers, uniform in ±`spread`. */
export function numbers(seed: number, length: number, spread = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  let state = (Math.imul(seed + 1, 0x9e3779b9) ^ 0x5bd1e995) >>> 0 || 1;
  const scale = (2 * spread) / 2 ** 32;
  for (let i = 0; i < length; i++) {
    // xorshift32 (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = (state >>> 0) * scale - spread;
  }
  return values;
}

/** `length` token ids below `vocabulary`. */
export function tokens(seed: number, length: number, vocabulary: number): number[] {
  return Array.from(numbers(seed, length, 0.5), (value) =>
    Math.min(vocabulary - 1, Math.floor((value + 0.5) * vocabulary)),
  );
}
