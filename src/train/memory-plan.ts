/**
 * The memory of a run, without the run: model and trainer are created on a counting device, where the trainer
 * rehearses. The bytes equal the run's own plan, by part. Nothing is computed, written or rated.
 */

import type { Gpu } from '../gpu/device.ts';
import type { BufferKind, HeldBuffer } from '../gpu/pool.ts';
import type { Files } from '../io/files.ts';
import { CausalLM, type LoadOptions } from '../model/causal-lm.ts';
import type { RunPlan } from './events.ts';
import type { Trainer } from './trainer.ts';

/** Free buffers in the pool, left by batches of other sizes. */
const WAITING = 'waiting';

export interface LargestBuffer {
  label: string;
  bytes: number;
}

export interface MemoryPlan extends RunPlan {
  /** The planned bytes by part: weights, adapters, optimizer, activations, head, reference, batch, caches, waiting. */
  parts: Record<string, number>;
  /** The largest buffer that is bound whole. */
  largestBuffer: LargestBuffer;
  /** The largest weight table, which may be read in blocks of rows. */
  largestWeight: LargestBuffer | undefined;
}

/**
 * Plans the run of the trainer that `make` creates on the model in `files`; `make` may be asynchronous, for example to load a reward model on the
 * same device. Throws whatever creating the trainer throws.
 */
export async function planMemory(
  gpu: Gpu,
  files: Files,
  make: (model: CausalLM) => Trainer | Promise<Trainer>,
  options: LoadOptions = {},
): Promise<MemoryPlan> {
  const counting = gpu.countingCopy();
  const model = await CausalLM.load(counting, files, options);
  const trainer = await make(model);
  counting.pool.trim();
  const plan = await trainer.plan();
  const { largest, waitingBytes } = trainer.rehearse();
  const buffers = [...counting.pool.buffers(), ...largest.buffers];
  const parts: Record<string, number> = {};
  for (const { size, kind } of buffers) {
    const part = partOf(kind, options.trainable);
    parts[part] = (parts[part] ?? 0) + size;
  }
  const isWeight = ({ kind }: HeldBuffer) => kind === 'weights';
  return {
    ...plan,
    parts: { ...parts, [WAITING]: waitingBytes },
    largestBuffer: largestOf(buffers.filter((buffer) => !isWeight(buffer)))!,
    largestWeight: largestOf(buffers.filter(isWeight)),
  };
}

function largestOf(buffers: readonly HeldBuffer[]): LargestBuffer | undefined {
  const [largest] = buffers.toSorted((a, b) => b.size - a.size);
  return largest && { label: largest.label, bytes: largest.size };
}

/** The trained weights are the adapters' or the model's own. */
function partOf(kind: BufferKind, trainable = false): BufferKind {
  return trainable && kind === 'adapters' ? 'weights' : kind;
}
