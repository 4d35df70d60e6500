/**
 * Shared code of operations that read weights: a kernel for each storage format, and splitting a matrix that exceeds a
 * binding into blocks of rows. Runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import { joined } from '../gpu/join.ts';
import { type Grid, type Kernel, kernels } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Shader } from '../gpu/shader.ts';
import { FORMATS, type WeightDtype, type WeightFormat } from '../tensor/formats.ts';
import type { DType, Tensor } from '../tensor/tensor.ts';

/** The rows of a block are a multiple of this: they are columns of a product, whose views must be aligned. */
const BLOCK_ROWS = 64;
/** Alignment of bindings, in bytes. */
const ALIGNMENT = 256;

/** The kernels of a shader with an open weight format, for each format. */
export function weightKernels<Entry extends string>(
  shader: Shader,
  reads: 'four' | 'one',
  grids: Record<Entry, Grid>,
): Record<WeightDtype, Record<Entry, Kernel>> {
  const dtypes = Object.keys(FORMATS) as WeightDtype[];
  return Object.fromEntries(
    dtypes.map((dtype) => {
      const { shader: four, single: one = four }: WeightFormat = FORMATS[dtype];
      return [dtype, kernels(joined(shader, { four, one }[reads]), grids)];
    }),
  ) as Record<WeightDtype, Record<Entry, Kernel>>;
}

/** A matrix factor: a tensor, or a view of float32. */
export type Weights = BufferView & { readonly dtype?: DType };

/** The format of weights; throws a RangeError for a tensor of another type. */
export function formatOf({ dtype = 'f32' }: Weights): WeightDtype {
  if (dtype === 'u32') throw new RangeError('integer tensors cannot be used as weights');
  return dtype;
}

/**
 * Weights as a kernel binds them: up to the end of the last vector of four that a kernel reads. Buffers are longer than
 * that (the pool uses multiples of 256 bytes), and values after the weights are ignored.
 */
export function bound({ buffer, offset, size }: BufferView): BufferView {
  return { buffer, offset, size: Math.ceil(size / 16) * 16 };
}

/** The smallest number of rows whose multiples are aligned offsets for views; at least `least`, a power of two. */
export function rowStep({ rowBytes }: Tensor, least: number): number {
  let step = least;
  while ((step * rowBytes) % ALIGNMENT !== 0) step *= 2;
  return step;
}

/** Calls `run` for each block of rows that fits into a binding, in order; usually there is one. */
export function inBlocksOfRows(gpu: Gpu, matrix: Tensor, run: (block: Tensor, start: number) => void): void {
  const { rows } = matrix;
  const step = rowStep(matrix, BLOCK_ROWS);
  const fitting = Math.floor(gpu.limits.maxStorageBufferBindingSize / matrix.rowBytes / step) * step;
  const most = Math.max(step, fitting);
  for (let start = 0; start < rows; start += most) {
    run(matrix.rowsFrom(start, Math.min(most, rows - start)), start);
  }
}
