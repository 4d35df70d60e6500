/**
 * Softmax and log-softmax over the rows of a logits buffer, with their gradients. Entries of −∞ are masked: see the shader.
 * The forward pass has variants: one reads a row twice, the other keeps it in registers.
 */
import shader from '../../shaders/logits/softmax.wgsl';
import heldShader from '../../shaders/logits/softmax-held.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import type { BufferView } from '../gpu/pool.ts';
import { noise, type Operation, sizeClass, tokenClass, type Variant } from '../gpu/variants.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkLogits, inRowBlocks } from './logits.ts';

const perRow: Grid = { groups: (p) => p.rows };

export const softmaxKernels = kernels(shader, {
  forward: perRow,
  forward_log: perRow,
  backward: perRow,
  backward_log: perRow,
});
export const heldKernels = kernels(heldShader, { forward: perRow });

export interface SoftmaxShape {
  rows: number;
  cols: number;
  /** Maximum number of threads in a workgroup. */
  threads: number;
}

/** Rows of logits, and the destination of their probabilities or log-probabilities. */
interface Rows {
  logits: BufferView;
  result: BufferView;
  log: boolean;
}

interface SoftmaxVariant extends Variant<SoftmaxShape> {
  run(gpu: Gpu, rows: Rows, shape: SoftmaxShape): void;
}

/** Numbers per part. Each thread holds one part of a row; if there are not enough threads, several. */
const PART = 16;
/** More parts would not fit into registers. */
const MOST_PARTS = 4;
const LEAST_THREADS = 32;
const MOST_THREADS = 1024;

/** The variants of softmax forward. */
export const SOFTMAX_VARIANTS: readonly SoftmaxVariant[] = [
  {
    name: 'streamed',
    serves: () => true,
    run(gpu, { logits, result, log }, { rows, cols }) {
      const params = { rows, cols, accumulate: 0 };
      const constants = sharingRows(gpu, cols);
      if (log) softmaxKernels.forward_log(gpu, { logits, logprobs: result }, params, constants);
      else softmaxKernels.forward(gpu, { logits, probs: result }, params, constants);
    },
  },
  {
    name: 'held',
    serves: ({ cols, threads }) => cols <= PART * MOST_PARTS * threads,
    run(gpu, { logits, result, log }, { rows, cols, threads }) {
      const WORKGROUP = Math.min(threads, Math.max(LEAST_THREADS, powerOfTwo(Math.ceil(cols / PART))));
      const constants = { WORKGROUP, PARTS: Math.ceil(cols / PART / WORKGROUP), LOG: log };
      heldKernels.forward(gpu, { logits, result }, { rows, cols }, constants);
    },
  },
];

/** The smallest power of two that is at least `size`. */
function powerOfTwo(size: number): number {
  return 2 ** Math.ceil(Math.log2(size));
}

/** Maximum number of threads in a workgroup, rounded down to a power of two as reductions require. */
function mostThreads({ limits }: Gpu): number {
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = limits;
  const most = Math.min(MOST_THREADS, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX);
  return 2 ** Math.floor(Math.log2(most));
}

/** Maximum size of a measurement: more than fits into any cache. */
const TRIAL_SIZE = 2 ** 25;

export const SOFTMAX: Operation<SoftmaxShape, SoftmaxVariant> = {
  name: 'softmax',
  variants: SOFTMAX_VARIANTS,
  classOf: ({ rows, cols }) => `${tokenClass(rows)} ${sizeClass(cols)}`,
  trial(gpu, shape) {
    const rows = Math.max(1, Math.min(shape.rows, Math.floor(TRIAL_SIZE / shape.cols)));
    const logits = noise(gpu, 4 * rows * shape.cols, 'logits of a trial');
    const result = gpu.pool.allocate(logits.size, 'softmax of a trial');
    return {
      run: (variant) => variant.run(gpu, { logits, result, log: false }, { ...shape, rows }),
      result,
      dispose: () => {
        for (const view of [logits, result]) gpu.pool.release(view);
      },
    };
  },
};

function forward(gpu: Gpu, logits: Tensor, result: Tensor, log: boolean): void {
  const { rows, cols } = logits;
  const shape = { rows, cols, threads: mostThreads(gpu) };
  const variant = gpu.variants.choose(gpu, SOFTMAX, shape);
  inRowBlocks(gpu, rows, cols, (count, part) => {
    variant.run(gpu, { logits: part(logits), result: part(result), log }, { ...shape, rows: count });
  });
}

/** logits (N, V) → probabilities (N, V). */
export function softmax(tape: Tape, logits: Tensor): Tensor {
  checkLogits('softmax', logits);
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = sharingRows(gpu, cols);
  const probs = tape.empty(logits.shape, 'probabilities');
  forward(gpu, logits, probs, false);
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    const dy = probs.grad!;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = { saved_probs: part(probs), dy: part(dy), dlogits: part(slot.grad) };
      softmaxKernels.backward(gpu, buffers, { rows: count, cols, accumulate: slot.accumulate }, constants);
    });
  };
  tape.record({ inputs: [logits], outputs: [probs], backward });
  return probs;
}

/** logits (N, V) → log-probabilities (N, V). */
export function logSoftmax(tape: Tape, logits: Tensor): Tensor {
  checkLogits('logSoftmax', logits);
  const { gpu } = tape;
  const { rows, cols } = logits;
  const constants = sharingRows(gpu, cols);
  const logprobs = tape.empty(logits.shape, 'log-probabilities');
  forward(gpu, logits, logprobs, true);
  const backward = () => {
    const slot = tape.gradient(logits);
    if (!slot) return;
    const dy = logprobs.grad!;
    inRowBlocks(gpu, rows, cols, (count, part) => {
      const buffers = { saved_logprobs: part(logprobs), dy: part(dy), dlogits: part(slot.grad) };
      const params = { rows: count, cols, accumulate: slot.accumulate };
      softmaxKernels.backward_log(gpu, buffers, params, constants);
    });
  };
  tape.record({ inputs: [logits], outputs: [logprobs], backward });
  return logprobs;
}
