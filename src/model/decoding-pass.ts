/** How the layers run during generation: over all prompts at once, and over one token of each sequence. Types only. */
import type { PackedBatch } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind } from '../gpu/pool.ts';
import type { LiveSequences } from '../ops/sample.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { KvCache } from './kv-cache.ts';

/** Puts numbers on the device while a pass is recorded. */
export type Upload = (
  data: Uint32Array,
  shape: readonly number[],
  label: string,
  kind?: BufferKind,
) => Tensor;

export interface PassOfRows {
  cache: KvCache;
  /** Maximum number of positions of a sequence. */
  length: number;
}

export interface DecodingPass {
  /** Bytes that it holds on the device in addition to the model. */
  readonly bytes: number;
  /**
   * Hidden states of packed prompts after the final norm, (N, d). Stores their keys and values in the cache, from row `from` on,
   * a multiple of {@link KvCache.alignment}.
   */
  prompts(tape: Tape, packed: PackedBatch, rows: PassOfRows, from: number, upload: Upload): Tensor;
  /** Hidden states (B, d) of the inputs of `step`; stores keys and values in the cache. */
  step(tape: Tape, live: LiveSequences, step: number, rows: PassOfRows): Tensor;
  /** Logits (R, V) of hidden states (R, d), with rows aligned to whole vectors, before a soft cap. */
  head(gpu: Gpu, hidden: Tensor, logits: Tensor): void;
  dispose(): void;
}
