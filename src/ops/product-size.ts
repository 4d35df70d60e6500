/**
 * Sizes of matrix products: layouts, row strides, and which rows can be read as vectors. Runs nothing.
 */

/** `nt`: a (m, k) · b (n, k)ᵀ. `nn`: a (m, k) · b (k, n). `tn`: a (k, m)ᵀ · b (k, n). */
export type Layout = 'nt' | 'nn' | 'tn';

export interface ProductSize {
  m: number;
  n: number;
  k: number;
  /**
   * Row stride of a; default: dense rows. If the length is odd and the stride is {@link padded}, rows are read as vectors;
   * in `nn` the padding must then be 0.
   */
  aStride?: number;
  /** The same for c. The padding of a row up to a multiple of four is also written. */
  cStride?: number;
}

/** A length rounded up to whole vectors. */
export function padded(length: number): number {
  return 4 * Math.ceil(length / 4);
}

export function strides(layout: Layout, { m, n, k, aStride, cStride }: ProductSize) {
  return { a_stride: aStride ?? (layout === 'tn' ? m : k), c_stride: cStride ?? n };
}

/** Whether the variants, which read rows as vectors, support a product; {@link general} supports any. */
export function isTiled(layout: Layout, size: ProductSize): boolean {
  const { a_stride, c_stride } = strides(layout, size);
  const b_stride = layout === 'nt' ? size.k : size.n;
  return [a_stride, b_stride, c_stride].every((stride) => stride % 4 === 0);
}
