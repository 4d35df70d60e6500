/**
 * Attention of one new token per sequence to a key and value cache, which it extends. Two equivalent kernels: a plain one,
 * and one that spreads a head over a workgroup. Records nothing: there is no gradient through a cache.
 */
import shader from '../../shaders/decode/decode-attention.wgsl';
import wideShader from '../../shaders/decode/decode-attention-wide.wgsl';
import ownCached from '../../shaders/lib/own-cached.wgsl';
import ownGiven from '../../shaders/lib/own-given.wgsl';
import { joined } from '../gpu/join.ts';
import { type Buffers, type Count, type Grid, kernels } from '../gpu/kernel.ts';
import type { Shader } from '../gpu/shader.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Heads } from './attention.ts';
import { reachOf } from './attention-pieces.ts';
import { cappedBy } from './soft-cap.ts';

const WIDE_WORKGROUP = 64;

const perHead: Count = (p) => p.rows * p.heads;
const perPart: Count = (p, c) => perHead(p, c) * (c.PARTS as number);

const threads: Grid = { threads: perPart };
const workgroups: Grid = { groups: perHead };

function attentionKernels(own: Shader) {
  return {
    narrow: kernels(joined(shader, own), { forward: threads, forward_piece: threads }),
    wide: kernels(joined(wideShader, own), { forward: workgroups, forward_piece: workgroups }),
  };
}

/** By the location of the new token's key and value. */
export const decodeAttentionKernels = {
  given: attentionKernels(ownGiven),
  cached: attentionKernels(ownCached),
};

/** Iterations of a kernel outside its main loop. */
const SPENT = 512;

/** One layer's cache, each (cache rows, kvHeads · headDim). */
export interface LayerCache {
  keys: Tensor;
  values: Tensor;
}

export interface DecodeAttentionOptions extends Heads {
  /** The step of generation; the new token is appended to the sequence's own part of the cache. */
  step: number;
  /** Upper bound of a sequence's keys in the cache, including the prompt; default: the rows of the cache. */
  longest?: number;
  /** Whether a workgroup computes a head; default: on GPUs, for head sizes up to 256. */
  wide?: boolean;
}

/**
 * query (B, heads · headDim), key and value (B, kvHeads · headDim), places (B, 8) u32: see `Place` → (B, heads · headDim). Key
 * and value are stored in the cache.
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
  return attend(tape, query, { key, value }, cache, places, options);
}

/** The same if the new token's key and value are already in the cache, after the sequence's own rows. */
export function cachedAttention(
  tape: Tape,
  query: Tensor,
  cache: LayerCache,
  places: Tensor,
  options: DecodeAttentionOptions,
): Tensor {
  return attend(tape, query, undefined, cache, places, options);
}

function attend(
  tape: Tape,
  query: Tensor,
  own: Buffers | undefined,
  cache: LayerCache,
  places: Tensor,
  options: DecodeAttentionOptions,
): Tensor {
  const { gpu } = tape;
  const { heads, kvHeads, headDim, step, scale = 1 / Math.sqrt(headDim), window = 0, softCap } = options;
  const vectors = headDim / 4;
  const fits = vectors <= WIDE_WORKGROUP;
  const wide = (options.wide ?? gpu.adapterProfile.wideDecoding) && fits;
  const y = tape.empty(query.shape, 'decode attention');
  const { longest = cache.keys.rows } = options;
  const seen = window > 0 ? Math.min(longest, window) : longest;
  const buffers = { query, ...own, places, keys: cache.keys, values: cache.values, y };
  const range = { start: 0, stop: seen };
  const scores = { scale, soft_cap: softCap ?? 0 };
  const params = { rows: query.rows, heads, kv_heads: kvHeads, step, ...scores, ...range };
  const shared = { HEAD_VECTORS: vectors, WINDOW: window, ...cappedBy(softCap) };
  const parts = Math.ceil(vectors / 8);
  const { forward, forward_piece } =
    decodeAttentionKernels[own ? 'given' : 'cached'][wide ? 'wide' : 'narrow'];
  const constants = wide ? shared : { ...shared, PARTS: parts };

  // The wide kernel runs three inner loops per tile: scores, maximum, values.
  const reach = wide
    ? WIDE_WORKGROUP * reachOf(gpu, SPENT, 2 * vectors + 12)
    : reachOf(gpu, SPENT, Math.max(2, vectors - 6));
  if (seen <= reach) {
    forward(gpu, buffers, params, constants);
    return y;
  }
  const states = tape.empty([query.rows * heads, wide ? 2 * WIDE_WORKGROUP : parts, 4], 'decode states');
  for (let start = 0; start < seen; start += reach) {
    const piece = { ...params, start, stop: Math.min(start + reach, seen) };
    forward_piece(gpu, { ...buffers, states }, piece, constants);
  }
  tape.release(states);
  return y;
}
