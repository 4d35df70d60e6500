/**
 * Matrix products on views, in the three layouts of a linear layer and its gradients. Picks the register-tiled kernel
 * where the dimensions allow and the general one elsewhere. Not an op: it records nothing on the tape.
 */
import anyShader from '../../shaders/layers/matmul-any.wgsl';
import tiledShader from '../../shaders/layers/matmul.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Grid, kernels, type Params } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';

/** `nt`: a (m, k) · b (n, k)ᵀ. `nn`: a (m, k) · b (k, n). `tn`: a (k, m)ᵀ · b (k, n). */
export type Layout = 'nt' | 'nn' | 'tn';

export interface ProductSize {
  m: number;
  n: number;
  k: number;
}

const tile: Grid = { threads: (p: Params) => Math.ceil((p.m as number) / 4) * ((p.n as number) / 4) };
const element: Grid = { threads: (p: Params) => (p.m as number) * (p.n as number) };

export const tiled = kernels(tiledShader, { nt: tile, nn: tile, tn: tile });
export const general = kernels(anyShader, { nt: element, nn: element, tn: element });

/** The dimensions that the tiled kernel reads as vectors. */
const vectors: Record<Layout, (size: ProductSize) => number[]> = {
  nt: ({ k, n }) => [k, n],
  nn: ({ k, n }) => [k, n],
  tn: ({ m, n }) => [m, n],
};

/** c (m, n) = scale · product, added to c where `accumulate` is 1. */
export function product(
  gpu: Gpu,
  layout: Layout,
  a: BufferView,
  b: BufferView,
  c: BufferView,
  size: ProductSize,
  { scale = 1, accumulate = 0 }: { scale?: number; accumulate?: 0 | 1 } = {},
): void {
  const fits = vectors[layout](size).every((dimension) => dimension % 4 === 0);
  (fits ? tiled : general)[layout](gpu, { a, b, c }, { ...size, scale, accumulate });
}
