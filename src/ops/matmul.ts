/**
 * Matrix products on views, in the three layouts of a linear layer and its gradients. Picks the register-tiled kernel
 * where the dimensions allow and the general one elsewhere, and cuts a long sum with few results into slices. Not an op:
 * it records nothing on the tape.
 */

import tiledShader from '../../shaders/layers/matmul.wgsl';
import anyShader from '../../shaders/layers/matmul-any.wgsl';
import type { Gpu } from '../gpu/device.ts';
import type { Count, Grid } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';
import { Tensor } from '../tensor/tensor.ts';
import { columnsKernels } from './columns.ts';
import { bound, formatOf, inBlocksOfRows, type Weights, weightKernels } from './weights.ts';

/** `nt`: a (m, k) · b (n, k)ᵀ. `nn`: a (m, k) · b (k, n). `tn`: a (k, m)ᵀ · b (k, n). */
export type Layout = 'nt' | 'nn' | 'tn';

export interface ProductSize {
  m: number;
  n: number;
  k: number;
}

/**
 * How the tiled kernel fits a device. A software adapter gathers every load lane by lane, at the price of some twenty
 * multiplications, so it wants the largest tile: measured at (896, 96, 96), GFLOP/s of one core for 4 × 4, 8 × 8 and
 * 16 × 16 results a thread: 1.1, 1.6 and 2.5. A GPU would spill such a tile, and needs thousands of threads first.
 * A product whose rows are tokens is cut for `sliceRows` of them, however many it has: what becomes of a token does not
 * depend on the others.
 */
const FITS = {
  software: { blocks: 4, workgroup: 8, threads: 0, sliceThreads: 64, sliceLength: 8, sliceRows: 1024 },
  hardware: { blocks: 2, workgroup: 64, threads: 8192, sliceThreads: 8192, sliceLength: 16, sliceRows: 128 },
} as const;

/** How a thread's tile and a device's threads cover one product. */
export interface Plan {
  constants: { DOWN: number; ACROSS: number; WORKGROUP: number; A_BY_ROWS: boolean; B_BY_ROWS: boolean };
  /** Parts of k that are summed apart and added in order. */
  slices: number;
}

const tilesOf: Count = ({ m, n }, { DOWN, ACROSS }) =>
  Math.ceil((m as number) / (4 * (DOWN as number))) * Math.ceil((n as number) / (4 * (ACROSS as number)));
const element: Grid = { threads: (p) => (p.m as number) * (p.n as number) };

export const tiled = weightKernels(tiledShader, 'four', {
  product: { threads: (p, c) => tilesOf(p, c) * (p.slices as number) },
  sum_slices: { threads: (p) => ((p.m as number) * (p.n as number)) / 4 },
});
export const general = weightKernels(anyShader, 'one', { nt: element, nn: element, tn: element });

/** The dimensions that the tiled kernel reads as vectors. */
const vectors: Record<Layout, (size: ProductSize) => number[]> = {
  nt: ({ k, n }) => [k, n],
  nn: ({ k, n }) => [k, n],
  tn: ({ m, n }) => [m, n],
};

/** Whether the register-tiled kernel takes a product; {@link general} takes any. */
export function isTiled(layout: Layout, size: ProductSize): boolean {
  return vectors[layout](size).every((dimension) => dimension % 4 === 0);
}

/**
 * The tile and the slices for a product: a function of the shape and the kind of adapter alone, and the slices of `nt` and
 * `nn` not of m, because they decide how a sum is rounded.
 */
export function planProduct(software: boolean, layout: Layout, { m, n, k }: ProductSize): Plan {
  const fit = FITS[software ? 'software' : 'hardware'];
  const tileOf = (rows: number) => {
    const tile = (limit: number) => ({ DOWN: blocks(rows, limit), ACROSS: blocks(n, limit) });
    return tilesOf({ m: rows, n }, tile(fit.blocks)) < fit.threads ? tile(1) : tile(fit.blocks);
  };
  const tile = tileOf(m);
  const sliceRows = layout === 'tn' ? m : fit.sliceRows;
  const wanted = Math.ceil(fit.sliceThreads / tilesOf({ m: sliceRows, n }, tileOf(sliceRows)));
  const most = Math.floor(k / 4 / fit.sliceLength);
  return {
    constants: { ...tile, WORKGROUP: fit.workgroup, A_BY_ROWS: layout !== 'tn', B_BY_ROWS: layout === 'nt' },
    slices: Math.max(1, Math.min(wanted, most)),
  };
}

/** Blocks of 4 in a tile along a dimension: 1, 2 or 4, none of them empty but in the last tile. */
function blocks(dimension: number, limit: number): number {
  if (limit >= 4 && dimension > 8) return 4;
  return limit >= 2 && dimension > 4 ? 2 : 1;
}

export interface ProductOptions {
  scale?: number;
  accumulate?: 0 | 1;
}

type InBlocks = (
  gpu: Gpu,
  a: BufferView,
  b: Tensor,
  c: BufferView,
  size: ProductSize,
  options: Required<ProductOptions>,
) => void;

/** Products with weights that no binding can hold: a block of their rows gives some columns of c, or takes some of a. */
const inBlocks: Readonly<Record<'nt' | 'nn', InBlocks>> = {
  nt(gpu, a, b, c, { m, n, k }, { scale, accumulate }) {
    inBlocksOfRows(gpu, b, (block, first) => {
      const cols = block.rows;
      const part = gpu.pool.allocate(m * cols * 4, 'columns of a product');
      product(gpu, 'nt', a, block, part, { m, n: cols, k }, { scale });
      columnsKernels.backward(gpu, { dy: part, dx: c }, { rows: m, cols, first, stride: n, accumulate });
      gpu.pool.release(part);
    });
  },
  nn(gpu, a, b, c, { m, n, k }, { scale, accumulate }) {
    inBlocksOfRows(gpu, b, (block, first) => {
      const cols = block.rows;
      const part = gpu.pool.allocate(m * cols * 4, 'columns of a factor');
      columnsKernels.forward(gpu, { x: a, y: part }, { rows: m, cols, first, stride: k, accumulate: 0 });
      const options = { scale, accumulate: first > 0 ? 1 : accumulate } as const;
      product(gpu, 'nn', part, block, c, { m, n, k: cols }, options);
      gpu.pool.release(part);
    });
  },
};

/** c (m, n) = scale · product, added to c where `accumulate` is 1. In `nt` and `nn` b may lie in any format. */
export function product(
  gpu: Gpu,
  layout: Layout,
  a: BufferView,
  b: Weights,
  c: BufferView,
  size: ProductSize,
  { scale = 1, accumulate = 0 }: ProductOptions = {},
): void {
  if (b instanceof Tensor && layout !== 'tn' && b.size > gpu.limits.maxStorageBufferBindingSize) {
    inBlocks[layout](gpu, a, b, c, size, { scale, accumulate });
    return;
  }
  const format = formatOf(b);
  const weights = bound(b);
  if (!isTiled(layout, size)) {
    general[format][layout](gpu, { a, weights, c }, { ...size, scale, accumulate });
    return;
  }
  const { constants, slices } = planProduct(gpu.adapter.software, layout, size);
  const params = { ...size, slices, scale, accumulate };
  if (slices === 1) {
    tiled[format].product(gpu, { a, weights, c }, params, constants);
    return;
  }
  const parts = gpu.pool.allocate(slices * size.m * size.n * 4, 'slices of a product');
  tiled[format].product(gpu, { a, weights, c: parts }, { ...params, scale: 1, accumulate: 0 }, constants);
  tiled.f32.sum_slices(gpu, { parts, c }, params, { WORKGROUP: constants.WORKGROUP });
  gpu.pool.release(parts);
}
