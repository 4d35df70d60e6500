/**
 * Products of few rows, the parts of a decoding step: a preceding norm and an epilogue are part of the same pass. The
 * epilogue is a file of `shaders/epilogues`. The weights (n, k) may have any format, and a row is rounded equally whatever
 * the number of rows. Records nothing: generation has no gradient.
 */

import shader from '../../shaders/decode/row-product.wgsl';
import activatedEnd from '../../shaders/epilogues/row-activated.wgsl';
import gatedEnd from '../../shaders/epilogues/row-gated.wgsl';
import headsEnd from '../../shaders/epilogues/row-heads.wgsl';
import plainEnd from '../../shaders/epilogues/row-plain.wgsl';
import residualEnd from '../../shaders/epilogues/row-residual.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { joined } from '../gpu/join.ts';
import type { Buffers, Grid } from '../gpu/kernel.ts';
import type { Constants } from '../gpu/pipelines.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { AdapterKind } from '../gpu/profile.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Heads } from './attention.ts';
import type { LayerCache } from './decode-attention.ts';
import type { Activation } from './elementwise.ts';
import { bound, formatOf, type Weights, weightKernels } from './weights.ts';

/**
 * Maximum rows per thread, and threads per workgroup. A software adapter gathers every load lane by lane: at (64, 256, 128)
 * one core reached 1.4, 3.4 and 4.1 GFLOP/s with 1, 4 and 8 rows. A GPU first needs more threads.
 */
const BY_ADAPTER: Readonly<Record<AdapterKind, { rows: number; workgroup: number }>> = {
  software: { rows: 8, workgroup: 8 },
  hardware: { rows: 4, workgroup: 64 },
};

const tiled: Grid = {
  threads: ({ rows, tiles }, { ROWS }) => Math.ceil(rows / (ROWS as number)) * tiles,
};

const withEnd = (end: typeof plainEnd) => weightKernels(joined(shader, end), 'four', { product: tiled });

export const rowProductKernels = {
  plain: withEnd(plainEnd),
  residual: withEnd(residualEnd),
  gated: withEnd(gatedEnd),
  activated: withEnd(activatedEnd),
  heads: withEnd(headsEnd),
};
type End = keyof typeof rowProductKernels;

/** The weights of a product, (n, k) with k a multiple of 4. */
export interface RowWeights {
  weights: Weights;
  n: number;
  k: number;
  /** Whether (n) biases follow the weights. Only in float32, with n a multiple of 4. */
  biased?: boolean;
}

export interface RowProductOptions {
  /** Factor of everything except the residual. */
  scale?: number | undefined;
  /** Divides x by its root mean square first: ε, added to the mean square. The norm's weight must be folded into the weights. */
  normEps?: number | undefined;
}

interface Launch {
  /** Row stride of y in vectors, and number of pairs of blocks. */
  width: number;
  tiles: number;
  step?: number;
  buffers?: Buffers;
  constants?: Constants;
}

function launch(
  gpu: Gpu,
  end: End,
  x: Tensor,
  { weights, n, k, biased = false }: RowWeights,
  y: BufferView,
  { scale = 1, normEps }: RowProductOptions,
  { width, tiles, step = 0, buffers = {}, constants = {} }: Launch,
): void {
  if (x.cols !== k) throw new RangeError(`rowProduct: x is ${x}, but the weights are (${n}, ${k})`);
  const { rows } = x;
  const fit = BY_ADAPTER[gpu.adapterProfile.kind];
  const ROWS = Math.min(fit.rows, 2 ** Math.ceil(Math.log2(rows)));
  const params = { rows, n, k, tiles, width, step, scale, eps: normEps ?? 0 };
  const shared = { WORKGROUP: fit.workgroup, ROWS, NORMED: normEps !== undefined, BIASED: biased };
  rowProductKernels[end][formatOf(weights)].product(
    gpu,
    { x, weights: bound(weights), y, ...buffers },
    params,
    { ...shared, ...constants },
  );
}

/** x (R, k) → y (R, n), with rows padded to whole vectors. */
export function rowProduct(
  gpu: Gpu,
  x: Tensor,
  weights: RowWeights,
  y: BufferView,
  options: RowProductOptions = {},
): void {
  const width = Math.ceil(weights.n / 4);
  launch(gpu, 'plain', x, weights, y, options, { width, tiles: Math.ceil(width / 2) });
}

/** x (R, k) and residual (R, n) → product + residual (R, n), n a multiple of 4. */
export function rowProductOnto(
  tape: Tape,
  x: Tensor,
  weights: RowWeights,
  residual: Tensor,
  options: RowProductOptions = {},
): Tensor {
  const y = tape.empty(residual.shape, 'residual sum');
  const width = weights.n / 4;
  const buffers = { residual };
  launch(tape.gpu, 'residual', x, weights, y, options, { width, tiles: Math.ceil(width / 2), buffers });
  return y;
}

/**
 * x (R, k) → act(gate) · up (R, n / 2), where the first n / 2 rows of the weights are the gate's; n a multiple of 8.
 * Without a gate: act(product) (R, n).
 */
export function rowActivation(
  tape: Tape,
  x: Tensor,
  weights: RowWeights,
  activation: Activation,
  isGated: boolean,
  options: RowProductOptions = {},
): Tensor {
  const cols = isGated ? weights.n / 2 : weights.n;
  const y = tape.empty([x.rows, cols], 'activation');
  const constants = { Element: 'vec4f', GELU: activation === 'gelu' };
  const width = cols / 4;
  const tiles = isGated ? width : Math.ceil(width / 2);
  launch(tape.gpu, isGated ? 'gated' : 'activated', x, weights, y, options, { width, tiles, constants });
  return y;
}

/** The destination of a step's heads. */
export interface HeadPlaces {
  cache: LayerCache;
  /** (R, 8) u32: see `Place`. */
  places: Tensor;
  /** The step of generation. */
  step: number;
  /** From `ropeTable`; undefined for a layer without positions. */
  turns: Tensor | undefined;
}

/** Whether {@link rowHeads} supports heads of this size with the given number of rotated pairs. */
export function turnsInVectors(headDim: number, pairs: number): boolean {
  return headDim % 8 === 0 && pairs % 4 === 0;
}

/**
 * x (R, k) → rotated queries (R, heads · headDim); rotated keys and values are stored in the cache. Row order of the
 * weights: queries, keys, values.
 */
export function rowHeads(
  tape: Tape,
  x: Tensor,
  weights: RowWeights,
  { heads, kvHeads, headDim }: Pick<Heads, 'heads' | 'kvHeads' | 'headDim'>,
  { cache, places, step, turns }: HeadPlaces,
  options: RowProductOptions = {},
): Tensor {
  const query = tape.empty([x.rows, heads * headDim], 'query');
  const pairs = turns ? turns.shape[1] : 0;
  // Without rotation, `turns` is not read.
  const buffers = { places, turns: turns ?? x, keys: cache.keys, values: cache.values };
  const constants = {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_VECTORS: headDim / 4,
    PAIR_VECTORS: pairs / 4,
  };
  const width = (heads * headDim) / 4;
  const tiles = weights.n / 8;
  launch(tape.gpu, 'heads', x, weights, query, options, { width, tiles, step, buffers, constants });
  return query;
}
