/** How the layers run during generation: over all prompts at once, and over one token of each sequence. Types alone. */
import type { PackedBatch } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind } from '../gpu/pool.ts';
import type { LiveSequences } from '../ops/sample.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { KvCache } from './kv-cache.ts';

/** Puts numbers on the device for as long as a pass is being recorded. */
export type Upload = (
  data: Uint32Array,
  shape: readonly number[],
  label: string,
  kind?: BufferKind,
) => Tensor;

export interface PassOfRows {
  cache: KvCache;
  /** Positions that the longest sequence can come to. */
  length: number;
}

export interface DecodingPass {
  /** What it holds on the device beside the model. */
  readonly bytes: number;
  /** Hidden states of packed prompts after the last norm, (N, d). Their keys and values are in the first rows of the cache then. */
  prompts(tape: Tape, packed: PackedBatch, rows: PassOfRows, upload: Upload): Tensor;
  /** Hidden states (B, d) of the tokens that the step before `step` has chosen; keys and values go into the cache. */
  step(tape: Tape, live: LiveSequences, step: number, rows: PassOfRows): Tensor;
  /** Logits (R, V) of hidden states (R, d), rows whole vectors apart, before a soft cap. */
  head(gpu: Gpu, hidden: Tensor, logits: Tensor): void;
  dispose(): void;
}
