/**
 * Matrix products on views, in the three layouts of a linear layer and its gradients: a table of variants, one kernel and
 * some constants each, for dimensions that are read as vectors, and a general kernel for all others. A long sum with few
 * results is cut into slices. Not an op: it records nothing on the tape.
 */

import tiledShader from '../../shaders/layers/matmul.wgsl';
import anyShader from '../../shaders/layers/matmul-any.wgsl';
import f16TilesShader from '../../shaders/layers/matmul-f16-tiles.wgsl';
import workgroupShader from '../../shaders/layers/matmul-workgroup.wgsl';
import type { Gpu } from '../gpu/device.ts';
import type { Count, Grid, Kernel } from '../gpu/kernel.ts';
import type { Constants } from '../gpu/pipelines.ts';
import type { BufferView } from '../gpu/pool.ts';
import { noise, type Operation, sizeClass, tokenClass, type Variant } from '../gpu/variants.ts';
import { deviceBytes, type WeightDtype } from '../tensor/formats.ts';
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
 * How the register-tiled kernel fits a device. A software adapter gathers every load lane by lane, at the price of some
 * twenty multiplications, so it wants the largest tile: measured at (896, 96, 96), GFLOP/s of one core for 4 × 4, 8 × 8 and
 * 16 × 16 results a thread: 1.1, 1.6 and 2.5. A GPU would spill such a tile, and needs thousands of threads first.
 * A product whose rows are tokens is cut for `sliceRows` of them, however many it has: what becomes of a token does not
 * depend on the others.
 */
const FITS = {
  software: { blocks: 4, workgroup: 8, threads: 0, sliceThreads: 64, sliceLength: 8, sliceRows: 1024 },
  hardware: { blocks: 2, workgroup: 64, threads: 8192, sliceThreads: 8192, sliceLength: 16, sliceRows: 128 },
} as const;

/** A product as its variants see it. */
export interface ProductShape extends ProductSize {
  layout: Layout;
  /** How b is stored; anything but float32 in `nt` and `nn` alone. */
  format: WeightDtype;
  software: boolean;
}

interface ProductVariant extends Variant<ProductShape> {
  kernels: Record<WeightDtype, { product: Kernel }>;
  constants(shape: ProductShape): Constants;
}

/** How a product is computed on a device. */
export interface Plan {
  constants: Constants;
  /** Parts of k that are summed apart and added in order. */
  slices: number;
}

/** Results that a thread or a workgroup makes, as a tile of blocks of 4 × 4. */
const tiles = ({ m, n }: ProductSize, down: number, across: number) =>
  Math.ceil(m / (4 * down)) * Math.ceil(n / (4 * across));
const tilesOf: Count = ({ m, n }, { DOWN, ACROSS }) =>
  tiles({ m, n } as ProductSize, DOWN as number, ACROSS as number);
const element: Grid = { threads: (p) => (p.m as number) * (p.n as number) };
const staged: Grid = {
  groups: ({ m, n, slices }, { LINES, LANES, DOWN, ACROSS }) => {
    const [down, across] = [(LINES as number) * (DOWN as number), (LANES as number) * (ACROSS as number)];
    return tiles({ m, n } as ProductSize, down, across) * (slices as number);
  },
};

export const tiled = weightKernels(tiledShader, 'four', {
  product: { threads: (p, c) => tilesOf(p, c) * (p.slices as number) },
  sum_slices: { threads: (p) => ((p.m as number) * (p.n as number)) / 4 },
});
export const workgroup = weightKernels(workgroupShader, 'four', { product: staged });
export const f16Tiles = weightKernels(f16TilesShader, 'four', { product: staged });
export const general = weightKernels(anyShader, 'one', { nt: element, nn: element, tn: element });

const layoutConstants = (layout: Layout) => ({ A_BY_ROWS: layout !== 'tn', B_BY_ROWS: layout === 'nt' });

/**
 * The variants of a product. What a workgroup and its threads make is a matter of constants: 64 × 64 by 4 × 4, 128 × 128 by
 * 8 × 8, 128 × 16 by 4 × 4 for the narrow matrices of an adapter. All of them add in one order.
 */
export const PRODUCT_VARIANTS: readonly ProductVariant[] = [
  {
    name: 'register',
    serves: () => true,
    kernels: tiled,
    constants: ({ software, layout, ...size }) => ({
      ...registerTile(software, size),
      ...layoutConstants(layout),
      WORKGROUP: FITS[software ? 'software' : 'hardware'].workgroup,
    }),
  },
  staging('workgroup', { LINES: 16, LANES: 16, DOWN: 1, ACROSS: 1 }),
  staging('workgroup-8x8', { LINES: 16, LANES: 16, DOWN: 2, ACROSS: 2 }),
  { ...staging('workgroup-narrow', { LINES: 32, LANES: 4, DOWN: 1, ACROSS: 1 }), serves: ({ n }) => n <= 32 },
  {
    ...staging('f16-tiles', { LINES: 16, LANES: 16, DOWN: 1, ACROSS: 1 }),
    kernels: f16Tiles,
    feature: 'shader-f16',
    reduced: true,
    // Gradients are too small for half precision.
    serves: ({ layout }) => layout === 'nt',
  },
];

function staging(name: string, tile: Constants): ProductVariant {
  return {
    name,
    serves: () => true,
    kernels: workgroup,
    constants: ({ layout }) => ({ ...tile, ...layoutConstants(layout) }),
  };
}

/** The dimensions that the tiled kernels read as vectors. */
const vectors: Record<Layout, (size: ProductSize) => number[]> = {
  nt: ({ k, n }) => [k, n],
  nn: ({ k, n }) => [k, n],
  tn: ({ m, n }) => [m, n],
};

/** Whether the variants take a product; {@link general} takes any. */
export function isTiled(layout: Layout, size: ProductSize): boolean {
  return vectors[layout](size).every((dimension) => dimension % 4 === 0);
}

/**
 * The tile and the slices for a product: a function of the shape, the kind of adapter and the variant alone. The slices do
 * not depend on the variant, and those of `nt` and `nn` not on m, because they decide how a sum is rounded.
 */
export function planProduct(shape: ProductShape, variant = PRODUCT_VARIANTS[0] as ProductVariant): Plan {
  const { software, layout, n, k } = shape;
  const fit = FITS[software ? 'software' : 'hardware'];
  const m = layout === 'tn' ? shape.m : fit.sliceRows;
  const { DOWN, ACROSS } = registerTile(software, { m, n, k });
  const wanted = Math.ceil(fit.sliceThreads / tiles({ m, n, k }, DOWN, ACROSS));
  const most = Math.floor(k / 4 / fit.sliceLength);
  return { constants: variant.constants(shape), slices: Math.max(1, Math.min(wanted, most)) };
}

/** The blocks of a thread of the register-tiled kernel: as many as leave the device enough threads. */
function registerTile(software: boolean, size: ProductSize): { DOWN: number; ACROSS: number } {
  const fit = FITS[software ? 'software' : 'hardware'];
  const tile = (limit: number) => ({ DOWN: blocks(size.m, limit), ACROSS: blocks(size.n, limit) });
  const { DOWN, ACROSS } = tile(fit.blocks);
  return tiles(size, DOWN, ACROSS) < fit.threads ? tile(1) : { DOWN, ACROSS };
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

/** Multiplications of a trial at most: some milliseconds on a small GPU. */
const TRIAL_WORK = 2 ** 32;
/** Numbers in the factors and the result of a trial at most. */
const TRIAL_SIZE = 2 ** 25;

export const PRODUCT: Operation<ProductShape, ProductVariant> = {
  name: 'product',
  variants: PRODUCT_VARIANTS,
  // Rows are tokens in a layer's product and in its gradient; the sum runs over tokens where weights get theirs.
  classOf: ({ layout, format, m, n, k }) =>
    layout === 'tn'
      ? `tn ${sizeClass(m)} ${sizeClass(n)} ${tokenClass(k)}`
      : `${layout} ${format} ${tokenClass(m)} ${sizeClass(n)} ${sizeClass(k)}`,
  trial(gpu, shape) {
    const tried = smaller(shape);
    const { m, n, k } = tried;
    const a = noise(gpu, 4 * m * k, 'factor of a trial');
    const weights = noise(gpu, deviceBytes(shape.format, k * n), 'factor of a trial');
    const result = gpu.pool.allocate(m * n * 4, 'product of a trial');
    return {
      run: (variant) => launch(gpu, variant, tried, { a, weights: bound(weights), c: result }, {}),
      result,
      dispose: () => {
        for (const view of [a, weights, result]) gpu.pool.release(view);
      },
    };
  },
};

/** The shape with its longest side halved, and again, until a trial is short. */
function smaller(shape: ProductShape): ProductShape {
  const { m, n, k } = shape;
  if (m * n * k <= TRIAL_WORK && m * k + k * n + m * n <= TRIAL_SIZE) return shape;
  const longest = (['m', 'n', 'k'] as const).reduce((a, b) => (shape[b] > shape[a] ? b : a));
  return smaller({ ...shape, [longest]: Math.ceil(shape[longest] / 8) * 4 });
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
  const buffers = { a, weights: bound(b), c };
  if (!isTiled(layout, size)) {
    general[format][layout](gpu, buffers, { ...size, scale, accumulate });
    return;
  }
  const shape = { ...size, layout, format, software: gpu.adapter.software };
  launch(gpu, gpu.variants.choose(gpu, PRODUCT, shape), shape, buffers, { scale, accumulate });
}

function launch(
  gpu: Gpu,
  variant: ProductVariant,
  shape: ProductShape,
  buffers: Record<'a' | 'weights' | 'c', BufferView>,
  { scale = 1, accumulate = 0 }: ProductOptions,
): void {
  const { m, n, k, format, software } = shape;
  const kernel = variant.kernels[format].product;
  const { constants, slices } = planProduct(shape, variant);
  const params = { m, n, k, slices, scale, accumulate };
  if (slices === 1) {
    kernel(gpu, buffers, params, constants);
    return;
  }
  const { c, ...factors } = buffers;
  const parts = gpu.pool.allocate(slices * m * n * 4, 'slices of a product');
  kernel(gpu, { ...factors, c: parts }, { ...params, scale: 1, accumulate: 0 }, constants);
  const { workgroup: WORKGROUP } = FITS[software ? 'software' : 'hardware'];
  tiled.f32.sum_slices(gpu, { parts, c }, params, { WORKGROUP });
  gpu.pool.release(parts);
}
