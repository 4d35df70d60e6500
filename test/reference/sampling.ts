/**
 * From one row of logits to one token, in the order of transformers' `generate`: repetition penalty, temperature, top-k,
 * top-p, min-p. Top-k keeps every token tied with the k-th. Top-p drops the least likely tokens while their sum is at most
 * 1 − p and always keeps the last; among equals the lower index is dropped first. Min-p drops what is less likely than
 * this share of the likeliest.
 */
import type { Reals } from './arrays.ts';
import { softmax } from './softmax.ts';

export interface SamplingOptions {
  /** Default 1; 0 is greedy. */
  temperature?: number;
  /** Default 0, off. */
  topK?: number;
  /** Default 1, off. */
  topP?: number;
  /** Default 0, off. */
  minP?: number;
}

/** Logits after the repetition penalty: those of the tokens in `ids` divided by it, or multiplied if negative, once each. */
export function penalized(logits: Reals, ids: Iterable<number>, penalty: number): Float64Array {
  const scores = Float64Array.from(logits);
  for (const id of new Set(ids)) scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  return scores;
}

/** The first index of the largest logit. */
export function argmax(logits: Reals): number {
  let best = 0;
  for (let v = 1; v < logits.length; v++) if (logits[v] > logits[best]) best = v;
  return best;
}

/** Probabilities (V) from which a token is drawn; they sum to 1. */
export function samplingProbabilities(logits: Reals, options: SamplingOptions = {}): Float64Array {
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options;
  const shape = { rows: 1, cols: logits.length };
  if (temperature === 0) {
    const greedy = new Float64Array(logits.length);
    greedy[argmax(logits)] = 1;
    return greedy;
  }
  let kept = Float64Array.from(logits, (logit) => logit / temperature);
  if (topK > 0 && topK < kept.length) {
    const threshold = [...kept].sort((a, b) => b - a)[topK - 1];
    kept = kept.map((logit) => (logit < threshold ? -Infinity : logit));
  }
  if (topP < 1) {
    const p = softmax(kept, shape);
    const ascending = [...kept.keys()].sort((a, b) => kept[a] - kept[b] || a - b);
    let sum = 0;
    for (const v of ascending.slice(0, -1)) {
      sum += p[v];
      if (sum <= 1 - topP) kept[v] = -Infinity;
    }
  }
  const highest = kept.reduce((a, b) => Math.max(a, b), -Infinity);
  kept = kept.map((logit) => (Math.exp(logit - highest) < minP ? -Infinity : logit));
  return softmax(kept, shape);
}

/** The token at which the running sum of probabilities passes u ∈ [0, 1); never one of probability 0. */
export function sampleToken(probabilities: Reals, u: number): number {
  let sum = 0;
  let last = 0;
  for (let v = 0; v < probabilities.length; v++) {
    if (probabilities[v] <= 0) continue;
    sum += probabilities[v];
    last = v;
    if (u < sum) return v;
  }
  return last;
}

/**
 * The number in [0, 1) from which a token is drawn: pcg3d (Jarzynski and Olano 2020) of (seed, sequence, step), the upper
 * 24 bits of its first word.
 */
export function uniformNumber(seed: number, sequence: number, step: number): number {
  let [x, y, z] = [seed, sequence, step].map((word) => (Math.imul(word, 1664525) + 1013904223) >>> 0);
  const round = () => {
    x = (x + Math.imul(y, z)) >>> 0;
    y = (y + Math.imul(z, x)) >>> 0;
    z = (z + Math.imul(x, y)) >>> 0;
  };
  round();
  [x, y, z] = [x, y, z].map((word) => (word ^ (word >>> 16)) >>> 0);
  round();
  return (x >>> 8) / 2 ** 24;
}
