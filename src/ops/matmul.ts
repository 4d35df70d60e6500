/**
/**
 * The kernels of matrix products, in the three layouts of a linear layer and its gradients: a table of variants, one kernel
 * and some constants each, for rows that are read as vectors, and a general kernel for all others. A long sum with few
 * results is split into slices. `product.ts` decides which kernel computes a product.
 */

import addendEnd from '../../shaders/epilogues/addend.wgsl';
import lowRankEnd from '../../shaders/epilogues/low-rank.wgsl';
import lowRankAddendEnd from '../../shaders/epilogues/low-rank-addend.wgsl';
import plainEnd from '../../shaders/epilogues/plain.wgsl';
import tiledShader from '../../shaders/layers/matmul.wgsl';
import anyShader from '../../shaders/layers/matmul-any.wgsl';
import f16TilesShader from '../../shaders/layers/matmul-f16-tiles.wgsl';
import matrixShader from '../../shaders/layers/matmul-subgroup-matrix.wgsl';
import workgroupShader from '../../shaders/layers/matmul-workgroup.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { joined } from '../gpu/join.ts';
import type { Count, Grid, Kernel } from '../gpu/kernel.ts';
import { LOOP_LIMIT } from '../gpu/loops.ts';
import { type MatrixUnit, SUBGROUP_MATRIX } from '../gpu/matrix-unit.ts';
import type { Constants } from '../gpu/pipelines.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { AdapterKind } from '../gpu/profile.ts';
import type { Shader } from '../gpu/shader.ts';
import { noise, type Operation, sizeClass, tokenClass, type Variant } from '../gpu/variants.ts';
import { deviceBytes, type WeightDtype } from '../tensor/formats.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Layout, type ProductSize, padded, strides } from './product-size.ts';
import { bound, weightKernels } from './weights.ts';

/**
 * How the register-tiled kernel is adapted to a device. A software adapter gathers every load lane by lane, at the cost of
 * about twenty multiplications, so it uses the largest tile: measured at (896, 96, 96) on one core, 4 × 4, 8 × 8 and 16 ×
 * 16 results per thread give 1.1, 1.6 and 2.5 GFLOP/s. A GPU would spill such a tile, and first needs thousands of threads.
 * A product whose rows are tokens is split as if there were `sliceRows` of them, so that the result of a token does not
 * depend on the number of others. On a GPU, many tokens provide enough threads by themselves, and slices would only cost
 * memory traffic. In `nn`, rows are gradients of tokens, never few except for the single row of the vocabulary's mean: with
 * `nnRows` it uses the same kernel, because compiling a separate one would take longer than it saves. From `joinedRank` on,
 * a kernel adds a low-rank product itself. On a software adapter such a kernel takes twice as long to compile, and saves 3%
 * of a step at rank 8, a quarter at rank 64.
 */
const BY_ADAPTER = {
  software: {
    blocks: 4,
    workgroup: 8,
    threads: 0,
    sliceThreads: 64,
    sliceLength: 8,
    sliceRows: { few: 1024, some: 1024, many: 1024 },
    nnRows: 16,
    joinedRank: 32,
  },
  hardware: {
    blocks: 2,
    workgroup: 64,
    threads: 8192,
    sliceThreads: 8192,
    sliceLength: 16,
    sliceRows: { few: 128, some: 128, many: 1024 },
    nnRows: 0,
    joinedRank: 0,
  },
} as const;

/** The properties of a product that variants depend on. */
export interface ProductShape extends ProductSize {
  layout: Layout;
  /** Storage format of b; formats other than float32 only in `nt` and `nn`. */
  format: WeightDtype;
  adapter: AdapterKind;
  /** The matrix sizes that the device's subgroups multiply, if supported. */
  matrixUnit?: MatrixUnit | undefined;
}

/** What a kernel does with its sums: a file of `shaders/epilogues`. */
const EPILOGUES = {
  plain: plainEnd,
  lowRank: lowRankEnd,
  addend: addendEnd,
  lowRankAddend: lowRankAddendEnd,
};
type Epilogue = keyof typeof EPILOGUES;

interface ProductVariant extends Variant<ProductShape> {
  kernels: Record<Epilogue, Record<WeightDtype, { product: Kernel }>>;
  constants(shape: ProductShape): Constants;
}

/** How a device computes a product. */
export interface Plan {
  constants: Constants;
  /** Number of parts of k that are summed separately and added in order. */
  slices: number;
}

/** Number of threads or workgroups, each of which computes a tile of 4 × 4 blocks. */
const tiles = ({ m, n }: ProductSize, down: number, across: number) =>
  Math.ceil(m / (4 * down)) * Math.ceil(n / (4 * across));
const tilesOf: Count = ({ m, n }, { DOWN, ACROSS }) =>
  tiles({ m, n } as ProductSize, DOWN as number, ACROSS as number);
const element: Grid = { threads: (p) => p.m * p.n };
const staged: Grid = {
  groups: ({ m, n, slices }, { LINES, LANES, DOWN, ACROSS }) => {
    const [down, across] = [(LINES as number) * (DOWN as number), (LANES as number) * (ACROSS as number)];
    return tiles({ m, n } as ProductSize, down, across) * slices;
  },
};

function withEnds<Entry extends string>(shader: Shader, grids: Record<Entry, Grid>) {
  const ends = Object.entries(EPILOGUES).map(([end, part]) => [
    end,
    weightKernels(joined(shader, part), 'four', grids),
  ]);
  return Object.fromEntries(ends) as Record<Epilogue, Record<WeightDtype, Record<Entry, Kernel>>>;
}

export const tiled = withEnds(tiledShader, {
  product: { threads: (p, c) => tilesOf(p, c) * p.slices },
  sum_slices: { threads: (p) => (p.m * padded(p.n)) / 4 },
});
export const workgroup = withEnds(workgroupShader, { product: staged });
export const f16Tiles = withEnds(f16TilesShader, { product: staged });
export const subgroupMatrix = withEnds(matrixShader, {
  product: { groups: (p) => tiles(p as unknown as ProductSize, 16, 16) * p.slices },
});
export const general = weightKernels(anyShader, 'one', { nt: element, nn: element, tn: element });

const layoutConstants = (layout: Layout) => ({ A_BY_ROWS: layout !== 'tn', B_BY_ROWS: layout === 'nt' });

/**
 * The variants of a product. The tile sizes of workgroups and threads are constants: 64 × 64 with 4 × 4, 128 × 128 with 8 ×
 * 8, 128 × 16 with 4 × 4 for the narrow matrices of an adapter. All of them add in the same order.
 */
export const PRODUCT_VARIANTS: readonly ProductVariant[] = [
  {
    name: 'register',
    serves: () => true,
    kernels: tiled,
    constants: ({ adapter, layout, ...size }) => {
      const { workgroup, nnRows } = BY_ADAPTER[adapter];
      const m = layout === 'nn' ? Math.max(size.m, nnRows) : size.m;
      return { ...registerTile(adapter, { ...size, m }), ...layoutConstants(layout), WORKGROUP: workgroup };
    },
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
  {
    name: 'subgroup-matrix',
    kernels: subgroupMatrix,
    feature: SUBGROUP_MATRIX,
    reduced: true,
    serves: ({ layout, matrixUnit }) => layout === 'nt' && matrixUnit !== undefined,
    constants: ({ layout, matrixUnit }) => {
      const { m, n, k, subgroup } = matrixUnit!;
      return { ...layoutConstants(layout), DOWN: m, ACROSS: n, ALONG: k, THREADS: 4 * subgroup };
    },
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

/**
 * Maximum number of terms that one thread sums. The variant with the most loops, with tiles of 128 × 16, makes 9 iterations
 * per 16 terms. It is a multiple of 64, so that a view of rows may start there.
 */
export const MOST_TERMS = 1.5 * LOOP_LIMIT;

/**
 * The tile and the slices of a product: they depend only on the shape, the kind of adapter and the variant. The slices do
 * not depend on the variant, and in `nt` and `nn` only on the class of m, because they determine the rounding of a sum.
 */
export function planProduct(shape: ProductShape, variant = PRODUCT_VARIANTS[0]): Plan {
  const { adapter, layout, n, k } = shape;
  const fit = BY_ADAPTER[adapter];
  const m = layout === 'tn' ? shape.m : fit.sliceRows[tokenClass(shape.m)];
  const { DOWN, ACROSS } = registerTile(adapter, { m, n, k });
  const wanted = Math.ceil(fit.sliceThreads / tiles({ m, n, k }, DOWN, ACROSS));
  const most = Math.floor(k / 4 / fit.sliceLength);
  const slices = Math.max(1, Math.min(wanted, most), Math.ceil(k / MOST_TERMS));
  return { constants: variant.constants(shape), slices };
}

/** The number of blocks per thread in the register-tiled kernel: as many as leave the device enough threads. */
function registerTile(adapter: AdapterKind, size: ProductSize): { DOWN: number; ACROSS: number } {
  const fit = BY_ADAPTER[adapter];
  const tile = (limit: number) => ({ DOWN: blocks(size.m, limit), ACROSS: blocks(size.n, limit) });
  const { DOWN, ACROSS } = tile(fit.blocks);
  return tiles(size, DOWN, ACROSS) < fit.threads ? tile(1) : { DOWN, ACROSS };
}

/** Number of blocks of 4 in a tile along a dimension: 1, 2 or 4; only the last tile may have empty ones. */
function blocks(dimension: number, limit: number): number {
  if (limit >= 4 && dimension > 8) return 4;
  return limit >= 2 && dimension > 4 ? 2 : 1;
}

/** Two low-rank factors whose product, in the layout of the main product (`nt` or `nn`), is added to the same sum. */
export interface LowRankFactors {
  /** (m, rank) */
  narrow: BufferView;
  /** `nt`: (n, rank). `nn`: (rank, n). */
  wide: BufferView;
  rank: number;
}

export interface ProductOptions {
  scale?: number;
  accumulate?: 0 | 1;
  /** Scaled like the product. */
  lowRank?: LowRankFactors | undefined;
  /** (m, n), or (n) for every row. */
  addend?: Tensor | undefined;
}

/** Maximum number of multiplications in a measurement: some milliseconds on a small GPU. */
const TRIAL_WORK = 2 ** 32;
/** Maximum total size of factors and result in a measurement. */
const TRIAL_SIZE = 2 ** 25;

export const PRODUCT: Operation<ProductShape, ProductVariant> = {
  name: 'product',
  variants: PRODUCT_VARIANTS,
  // In a layer's product and its gradient, rows are tokens; for the gradient of weights, the sum runs over tokens.
  classOf: ({ layout, format, m, n, k }) =>
    layout === 'tn'
      ? `tn ${sizeClass(m)} ${sizeClass(n)} ${tokenClass(k)}`
      : `${layout} ${format} ${tokenClass(m)} ${sizeClass(n)} ${sizeClass(k)}`,
  trial(gpu, shape) {
    const tried = smaller(compact(shape));
    const { m, n, k } = tried;
    const a = noise(gpu, 4 * m * k, 'factor of a trial');
    const weights = noise(gpu, deviceBytes(shape.format, k * n), 'factor of a trial');
    const result = gpu.pool.allocate(m * n * 4, 'product of a trial');
    return {
      run: (variant) => {
        const plan = planProduct(tried, variant);
        launch(gpu, variant, tried, plan, { a, weights: bound(weights), c: result }, {});
      },
      result,
      dispose: () => {
        for (const view of [a, weights, result]) gpu.pool.release(view);
      },
    };
  },
};

/** The shape with dense rows that are whole vectors. */
function compact({ layout, format, adapter, m, n, k }: ProductShape): ProductShape {
  const rows = layout === 'tn' ? padded(m) : m;
  return { layout, format, adapter, m: rows, n: padded(n), k: padded(k) };
}

/** The shape with its longest side halved repeatedly until a measurement is short. */
function smaller(shape: ProductShape): ProductShape {
  const { m, n, k } = shape;
  if (m * n * k <= TRIAL_WORK && m * k + k * n + m * n <= TRIAL_SIZE) return shape;
  const longest = (['m', 'n', 'k'] as const).reduce((a, b) => (shape[b] > shape[a] ? b : a));
  return smaller({ ...shape, [longest]: Math.ceil(shape[longest] / 8) * 4 });
}

/** The parts of a product's epilogue that its kernel computes; separate passes compute the others. */
export function joinedEnds(
  { adapter }: ProductShape,
  { slices }: Plan,
  { lowRank, addend }: Pick<ProductOptions, 'lowRank' | 'addend'>,
): Pick<ProductOptions, 'lowRank' | 'addend'> {
  const rank = lowRank?.rank ?? 0;
  if (rank < BY_ADAPTER[adapter].joinedRank) return {};
  return { addend, lowRank: slices === 1 && rank % 4 === 0 ? lowRank : undefined };
}

/** Starts the kernels of a plan. Low-rank factors require a plan with one slice, and a rank that is a multiple of 4. */
export function launch(
  gpu: Gpu,
  { kernels }: ProductVariant,
  shape: ProductShape,
  { constants, slices }: Plan,
  { c, ...factors }: Record<'a' | 'weights' | 'c', BufferView>,
  { scale = 1, accumulate = 0, lowRank, addend }: ProductOptions,
): void {
  const { layout, m, n, k, format, adapter } = shape;
  const rank = lowRank?.rank ?? 0;
  const addend_width = addend && addend.length === m * n ? n / 4 : 0;
  const params = { m, n, k, ...strides(layout, shape), slices, scale, accumulate, rank, addend_width };
  const more = { ...(lowRank && { narrow: lowRank.narrow, wide: lowRank.wide }), ...(addend && { addend }) };
  const end = lowRank ? (addend ? 'lowRankAddend' : 'lowRank') : addend ? 'addend' : 'plain';
  if (slices === 1) {
    kernels[end][format].product(gpu, { ...factors, ...more, c }, params, constants);
    return;
  }
  const c_stride = padded(n);
  const parts = gpu.pool.allocate(slices * m * c_stride * 4, 'slices of a product');
  const ofParts = { ...params, c_stride, scale: 1, accumulate: 0 };
  kernels.plain[format].product(gpu, { ...factors, c: parts }, ofParts, constants);
  const { workgroup: WORKGROUP } = BY_ADAPTER[adapter];
  tiled[end].f32.sum_slices(gpu, { parts, ...more, c }, params, { WORKGROUP });
  gpu.pool.release(parts);
}
