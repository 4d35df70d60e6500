/**
 * The norm of all gradients and the factor that clips it, computed on the device and not read within a step.
 */
import shader from '../../shaders/optimizer/grad-norm.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';

/** Number of chunks, one workgroup each; more if a chunk would exceed the loop limit. */
const CHUNKS = 256;

export const gradNormKernels = kernels(shader, {
  sum_chunks: { groups: (p) => p.chunks },
  finish: { groups: () => 1 },
});

/**
 * gradients (count) → clip (2): the norm, and min(1, maxNorm / (norm + 1e-6)), or −1 if the norm is not finite
 * (torch.nn.utils.clip_grad_norm_).
 */
export function gradNorm(gpu: Gpu, gradients: BufferView, clip: BufferView, maxNorm: number): void {
  const count = gradients.size / 4;
  const chunks = Math.max(CHUNKS, Math.ceil(count / ((gpu.loopLimit / 2) * gpu.rowThreads)));
  const partials = gpu.pool.allocate(chunks * 4, 'partial squares', { kind: 'optimizer' });
  const params = { count, chunks, max_norm: maxNorm };
  const constants = { WORKGROUP: gpu.rowThreads };
  gradNormKernels.sum_chunks(gpu, { gradients, partials }, params, constants);
  gradNormKernels.finish(gpu, { chunk_sums: partials, clip }, params, constants);
  gpu.pool.release(partials);
}
