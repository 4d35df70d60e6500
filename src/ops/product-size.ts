/**
 * Sizes of matrix products: which layouts there are, how far apart rows lie, and which rows can be read as vectors. Plain
 * numbers; it runs nothing.
 */

/** `nt`: a (m, k) · b (n, k)ᵀ. `nn`: a (m, k) · b (k, n). `tn`: a (k, m)ᵀ · b (k, n). */
export type Layout = 'nt' | 'nn' | 'tn';

export interface ProductSize {
  m: number;
  n: number;
  k: number;
  /**
   * Numbers from one row of a to the next; without it rows lie one after the other. Where the length is odd and the stride
   * {@link padded}, rows are read as vectors: in `nn` what lies behind a row must be 0 then.
   */
  aStride?: number;
  /** The same of c. What lies behind a row up to the next four is written too. */
  cStride?: number;
}

/** A length as whole vectors. */
export function padded(length: number): number {
  return 4 * Math.ceil(length / 4);
}

export function strides(layout: Layout, { m, n, k, aStride, cStride }: ProductSize) {
  return { a_stride: aStride ?? (layout === 'tn' ? m : k), c_stride: cStride ?? n };
}

/** Whether the variants take a product, which read rows as vectors; {@link general} takes any. */
export function isTiled(layout: Layout, size: ProductSize): boolean {
  const { a_stride, c_stride } = strides(layout, size);
  const b_stride = layout === 'nt' ? size.k : size.n;
  return [a_stride, b_stride, c_stride].every((stride) => stride % 4 === 0);
}
