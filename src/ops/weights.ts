/**
 * What operations that read weights share: a kernel for each format they may lie in, and how a matrix larger than a binding
 * may be is taken in blocks of rows. It runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import { joined } from '../gpu/join.ts';
import { type Grid, type Kernel, kernels } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { Shader } from '../gpu/shader.ts';
import { FORMATS, type WeightDtype, type WeightFormat } from '../tensor/formats.ts';
import type { DType, Tensor } from '../tensor/tensor.ts';

/** Rows of a block are a multiple of this: products have a column for each, and views of those begin on a border. */
const BLOCK_ROWS = 64;
/** Where bindings may begin, bytes. */
const BORDER = 256;

/** The kernels of a shader that leaves the format of its `weights` open, for each format. */
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

/** A matrix as a factor: a tensor, or a view of float32. */
export type Weights = BufferView & { readonly dtype?: DType };

/** The format of weights; a RangeError for a tensor that holds none. */
export function formatOf({ dtype = 'f32' }: Weights): WeightDtype {
  if (dtype === 'u32') throw new RangeError('whole numbers are no weights');
  return dtype;
}

/**
 * Weights as a kernel binds them: up to the end of the last four that a kernel reads at once. Buffers are longer than that
 * (a pool's are whole multiples of 256 bytes), and what is behind the weights is not looked at.
 */
export function bound({ buffer, offset, size }: BufferView): BufferView {
  return { buffer, offset, size: Math.ceil(size / 16) * 16 };
}

/** The fewest rows, and all their multiples, behind which a view may begin; at least `least`, a power of two. */
export function rowStep({ rowBytes }: Tensor, least: number): number {
  let step = least;
  while ((step * rowBytes) % BORDER !== 0) step *= 2;
  return step;
}

/** Calls `run` for each block of rows that a single binding can hold, in order; mostly there is one. */
export function inBlocksOfRows(gpu: Gpu, matrix: Tensor, run: (block: Tensor, start: number) => void): void {
  const { rows } = matrix;
  const step = rowStep(matrix, BLOCK_ROWS);
  const fitting = Math.floor(gpu.limits.maxStorageBufferBindingSize / matrix.rowBytes / step) * step;
  const most = Math.max(step, fitting);
  for (let start = 0; start < rows; start += most) {
    run(matrix.rowsFrom(start, Math.min(most, rows - start)), start);
  }
}
