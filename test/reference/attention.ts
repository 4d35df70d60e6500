/**
 * Causal attention over packed sequences with grouped-query heads and the pair layout, in which two completions share
 * one prompt. A mask is four numbers a token, `spans` (N, 4): prefixStart, prefixEnd, start, queryEnd. Token i sees
 * the keys [prefixStart, prefixEnd) and [start, i]; key j is seen by the queries [j, queryEnd) that do not stand in a
 * sibling's completion. Only the first rule is used here; {@link spansDisagree} checks the second against it.
 */
import type { Reals } from './arrays.ts';

/** q and out (tokens, heads · headDim); k and v (tokens, kvHeads · headDim); lse (tokens, heads). */
export interface AttentionShape {
  tokens: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  /** Factor on the scores; 1 / √headDim by default. */
  scale?: number;
  /** Positions that a token sees, itself the last of them; all by default. */
  window?: number;
  /** Scores are cap · tanh(score / cap). */
  softCap?: number;
}

/** The keys that token i attends to, in ascending order: of all before it and itself, the last `window`. */
export function attendedKeys(spans: Reals, i: number, window = Number.POSITIVE_INFINITY): number[] {
  const [prefixStart, prefixEnd, start] = [spans[4 * i], spans[4 * i + 1], spans[4 * i + 2]];
  const keys: number[] = [];
  for (let j = prefixStart; j < prefixEnd; j++) keys.push(j);
  for (let j = start; j <= i; j++) keys.push(j);
  return keys.slice(Math.max(0, keys.length - window));
}

/** A message about the first query outside [j, queryEnd) that attends to key j, or null if there is none. */
export function spansDisagree(spans: Reals): string | null {
  for (let i = 0; i < spans.length / 4; i++) {
    for (const j of attendedKeys(spans, i)) {
      if (i < j || i >= spans[4 * j + 3])
        return `token ${i} attends to ${j}, whose queries end at ${spans[4 * j + 3]}`;
    }
  }
  return null;
}

/** out = softmax(scale · q kᵀ) v over the attended keys; lse = log Σ exp of the scaled scores. */
export function attention(q: Reals, k: Reals, v: Reals, spans: Reals, shape: AttentionShape) {
  const { tokens, heads, headDim } = shape;
  const out = new Float64Array(tokens * heads * headDim);
  const lse = new Float64Array(tokens * heads);
  forEachHead(shape, (i, h, query, keyOf) => {
    const keys = attendedKeys(spans, i, shape.window);
    const scores = keys.map((j) => score(q, query, k, keyOf(j), shape));
    const largest = Math.max(...scores);
    const total = scores.reduce((sum, s) => sum + Math.exp(s - largest), 0);
    lse[i * heads + h] = largest + Math.log(total);
    keys.forEach((j, at) => {
      const p = Math.exp(scores[at] - lse[i * heads + h]);
      for (let d = 0; d < headDim; d++) out[query + d] += p * v[keyOf(j) + d];
    });
  });
  return { out, lse };
}

/**
 * dq, dk, dv. With p the attention weights and D = dout · out of a query and head:
 * dv_j += p_j dout,  ds_j = p_j (dout · v_j − D),  dq += scale ds_j k_j,  dk_j += scale ds_j q; with a cap, ds_j gets its slope
 * 1 − tanh².
 */
export function attentionBackward(
  dout: Reals,
  q: Reals,
  k: Reals,
  v: Reals,
  forward: { out: Reals; lse: Reals },
  spans: Reals,
  shape: AttentionShape,
) {
  const { tokens, heads, kvHeads, headDim } = shape;
  const scale = shape.scale ?? 1 / Math.sqrt(headDim);
  const dq = new Float64Array(tokens * heads * headDim);
  const dk = new Float64Array(tokens * kvHeads * headDim);
  const dv = new Float64Array(tokens * kvHeads * headDim);
  forEachHead(shape, (i, h, query, keyOf) => {
    let delta = 0;
    for (let d = 0; d < headDim; d++) delta += dout[query + d] * forward.out[query + d];
    for (const j of attendedKeys(spans, i, shape.window)) {
      const key = keyOf(j);
      const own = score(q, query, k, key, shape);
      const p = Math.exp(own - forward.lse[i * heads + h]);
      const slope = shape.softCap === undefined ? 1 : 1 - (own / shape.softCap) ** 2;
      let dp = 0;
      for (let d = 0; d < headDim; d++) dp += dout[query + d] * v[key + d];
      const ds = scale * slope * p * (dp - delta);
      for (let d = 0; d < headDim; d++) {
        dq[query + d] += ds * k[key + d];
        dk[key + d] += ds * q[query + d];
        dv[key + d] += p * dout[query + d];
      }
    }
  });
  return { dq, dk, dv };
}

/** Calls `visit` with a token, a head, the offset of its query, and the offset of key j of that head's group. */
function forEachHead(
  { tokens, heads, kvHeads, headDim }: AttentionShape,
  visit: (i: number, h: number, query: number, keyOf: (j: number) => number) => void,
): void {
  for (let h = 0; h < heads; h++) {
    const kvHead = Math.floor(h / (heads / kvHeads));
    const keyOf = (j: number): number => (j * kvHeads + kvHead) * headDim;
    for (let i = 0; i < tokens; i++) visit(i, h, (i * heads + h) * headDim, keyOf);
  }
}

function score(
  q: Reals,
  query: number,
  k: Reals,
  key: number,
  { headDim, scale, softCap }: AttentionShape,
): number {
  let sum = 0;
  for (let d = 0; d < headDim; d++) sum += q[query + d] * k[key + d];
  const plain = (scale ?? 1 / Math.sqrt(headDim)) * sum;
  return softCap === undefined ? plain : softCap * Math.tanh(plain / softCap);
}
