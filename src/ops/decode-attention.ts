/**
 * Attention of one new token a sequence against a key and value cache, which it extends. Two kernels of one meaning:
 * the plain one, and one that spreads a head over a workgroup. Records nothing: there is no gradient through a cache.
 */
import shader from '../../shaders/decode/decode-attention.wgsl';
import { type Count, kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Heads } from './attention.ts';

const WIDE_WORKGROUP = 64;

const perPart: Count = (p, c) => (p.rows as number) * (p.heads as number) * (c.PARTS as number);

export const decodeAttentionKernels = kernels(shader, {
  forward: { threads: perPart },
  forward_wide: { groups: (p) => (p.rows as number) * (p.heads as number) },
});

/** One layer's cache, each (cache rows, kvHeads · headDim). */
export interface LayerCache {
  keys: Tensor;
  values: Tensor;
}

export interface DecodeAttentionOptions extends Heads {
  /** Tokens that each sequence has in its own part of the cache already; the new one goes behind them. */
  cached: number;
  /** A workgroup a head; by default on GPUs, for heads of at most 256. */
  wide?: boolean;
}

/**
 * query (B, heads · headDim), key and value (B, kvHeads · headDim), places (B, 4) u32: the cache rows [0, 1) of the
 * sequence's prompt, the first of its own, and its number → (B, heads · headDim).
 */
export function decodeAttention(
  tape: Tape,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  cache: LayerCache,
  places: Tensor,
  options: DecodeAttentionOptions,
): Tensor {
  const { gpu } = tape;
  const { heads, kvHeads, headDim, cached, scale = 1 / Math.sqrt(headDim), window = 0 } = options;
  const fits = headDim / 4 <= WIDE_WORKGROUP;
  const wide = (options.wide ?? !gpu.adapter.software) && fits;
  const y = tape.empty(query.shape, 'decode attention');
  const buffers = { query, key, value, places, keys: cache.keys, values: cache.values, y };
  const params = { rows: query.rows, heads, kv_heads: kvHeads, cached, scale };
  const shared = { HEAD_VECTORS: headDim / 4, WINDOW: window };
  if (wide) decodeAttentionKernels.forward_wide(gpu, buffers, params, shared);
  else {
    const constants = { ...shared, PARTS: Math.ceil(headDim / 16) };
    decodeAttentionKernels.forward(gpu, buffers, params, constants);
  }
  return y;
}
