/**
 * Matrix products on views of any shape: with the variants of `matmul.ts` if dimensions are multiples of vectors, with the
 * general kernel otherwise, in blocks if no binding can hold the weights. A low-rank adapter or an added matrix is computed
 * in the same pass if the kernel supports it. Not an op: records nothing on the tape.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import { Tensor } from '../tensor/tensor.ts';
import { copyInto } from './add.ts';
import { fillWithBias } from './bias.ts';
import {
  general,
  joinedEnds,
  type LowRankFactors,
  launch,
  MOST_TERMS,
  PRODUCT,
  type ProductOptions,
  planProduct,
} from './matmul.ts';
import { behind, partsOf } from './parts.ts';
import { isTiled, type Layout, type ProductSize, strides } from './product-size.ts';
import { bound, formatOf, inBlocksOfRows, type Weights } from './weights.ts';

/**
 * c (m, n) = scale · (product + low-rank product) + addend, added to c if `accumulate` is 1. In `nt` and `nn` b may have
 * any format. With low-rank factors or an addend, the rows of a and c are dense.
 */
export function product(
  gpu: Gpu,
  layout: Layout,
  a: BufferView,
  b: Weights,
  c: BufferView,
  size: ProductSize,
  { scale = 1, accumulate = 0, lowRank, addend }: ProductOptions = {},
): void {
  if (layout === 'tn' && size.k > MOST_TERMS) {
    inBlocksOfTerms(gpu, a, b, c, size, { scale, accumulate });
    return;
  }
  const isSplit = b instanceof Tensor && layout !== 'tn' && b.size > gpu.limits.maxStorageBufferBindingSize;
  if (isSplit || !isTiled(layout, size)) {
    if (addend) begin(gpu, addend, c, size, accumulate);
    const options = { scale, accumulate: addend ? 1 : accumulate } as const;
    if (isSplit) inBlocks[layout](gpu, a, b, c, size, options);
    else {
      const { m, n, k } = size;
      for (const part of partsOf(gpu, k)) {
        const accumulate = part.first > 0 ? 1 : options.accumulate;
        const params = { m, n, k, ...strides(layout, size), scale, accumulate, ...part };
        general[formatOf(b)][layout](gpu, { a, weights: bound(b), c }, params);
      }
    }
    if (lowRank) addLowRank(gpu, layout, lowRank, c, size, scale);
    return;
  }
  const shape = {
    ...size,
    layout,
    format: formatOf(b),
    adapter: gpu.adapterProfile.kind,
    matrixUnit: gpu.adapter.matrixUnit,
  };
  const variant = gpu.variants.choose(gpu, PRODUCT, shape);
  const plan = planProduct(shape, variant);
  const ends = joinedEnds(shape, plan, { lowRank, addend });
  const isBegun = addend && !ends.addend;
  if (isBegun) begin(gpu, addend, c, size, accumulate);
  const options = { scale, accumulate: isBegun ? 1 : accumulate, ...ends } as const;
  launch(gpu, variant, shape, plan, { a, weights: bound(b), c }, options);
  if (lowRank && !ends.lowRank) addLowRank(gpu, layout, lowRank, c, size, scale);
}

/** A `tn` product with more terms per sum than one thread may sum: one dispatch per block of rows. */
function inBlocksOfTerms(
  gpu: Gpu,
  a: BufferView,
  b: BufferView,
  c: BufferView,
  size: ProductSize,
  { scale, accumulate }: { scale: number; accumulate: 0 | 1 },
): void {
  const { n, k } = size;
  const { a_stride } = strides('tn', size);
  for (let first = 0; first < k; first += MOST_TERMS) {
    const ofBlock = { ...size, k: Math.min(MOST_TERMS, k - first) };
    const options = { scale, accumulate: first > 0 ? 1 : accumulate } as const;
    product(gpu, 'tn', behind(a, first * a_stride), behind(b, first * n), c, ofBlock, options);
  }
}

/** Initializes c with the addend, for kernels that cannot add it themselves. */
function begin(gpu: Gpu, addend: Tensor, c: BufferView, { m, n }: ProductSize, accumulate: 0 | 1): void {
  const y = new Tensor(c, [m, n]);
  if (addend.length < m * n) fillWithBias(gpu, addend, y, { accumulate });
  else copyInto(gpu, addend, y, accumulate);
}

function addLowRank(
  gpu: Gpu,
  layout: Layout,
  { narrow, wide, rank }: LowRankFactors,
  c: BufferView,
  { m, n }: ProductSize,
  scale: number,
): void {
  product(gpu, layout, narrow, wide, c, { m, n, k: rank }, { scale, accumulate: 1 });
}

type InBlocks = (
  gpu: Gpu,
  a: BufferView,
  b: Tensor,
  c: BufferView,
  size: ProductSize,
  options: { scale: number; accumulate: 0 | 1 },
) => void;

/** Products with weights that exceed a binding: a block of their rows gives some columns of c, or reads some columns of a. */
const inBlocks: Readonly<Record<'nt' | 'nn', InBlocks>> = {
  nt(gpu, a, b, c, size, options) {
    const cStride = size.cStride ?? size.n;
    inBlocksOfRows(gpu, b, (block, first) => {
      product(gpu, 'nt', a, block, behind(c, first), { ...size, n: block.rows, cStride }, options);
    });
  },
  nn(gpu, a, b, c, size, { scale, accumulate }) {
    const aStride = size.aStride ?? size.k;
    inBlocksOfRows(gpu, b, (block, first) => {
      const options = { scale, accumulate: first > 0 ? 1 : accumulate } as const;
      product(gpu, 'nn', behind(a, first), block, c, { ...size, k: block.rows, aStride }, options);
    });
  },
};
