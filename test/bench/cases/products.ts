/**
 * Matrix products: squares in the three layouts, and the shapes of training, which are not square: LoRA's (tokens, width) ·
 * (r, width)ᵀ and its gradients, and the head's (tokens, width) · (vocabulary, width)ᵀ.
 */
import { product } from '../../../src/ops/product.ts';
import type { Layout, ProductSize } from '../../../src/ops/product-size.ts';
import type { Case } from '../bench.ts';
import { randomTensor, runOn } from './run.ts';

const SHAPES: Record<Layout, (size: ProductSize) => { a: number[]; b: number[] }> = {
  nt: ({ m, n, k }) => ({ a: [m, k], b: [n, k] }),
  nn: ({ m, n, k }) => ({ a: [m, k], b: [k, n] }),
  tn: ({ m, n, k }) => ({ a: [k, m], b: [k, n] }),
};

function productCase(
  label: string,
  layout: Layout,
  size: ProductSize,
  { quick = false, peers = false, group = 'products' } = {},
): Case {
  const { m, n, k } = size;
  return {
    id: `product ${layout} ${label}`,
    group,
    size: { m, n, k },
    work: { flop: 2 * m * n * k, bytes: 4 * (m * k + n * k + m * n) },
    quick,
    async make(gpu) {
      const { a: shapeA, b: shapeB } = SHAPES[layout](size);
      const a = randomTensor(gpu, 1, shapeA);
      const b = randomTensor(gpu, 2, shapeB);
      const c = randomTensor(gpu, 3, [m, n]);
      return runOn(gpu, () => product(gpu, layout, a, b, c, size), [a, b, c], c);
    },
    ...(peers && { job: () => ({ kind: 'product', m, n, k }) }),
  };
}

const square = (n: number, layout: Layout, options = {}) =>
  productCase(`${n}³`, layout, { m: n, n, k: n }, { group: 'squares', ...options });

/** Tokens × width, as in SmolLM2-135M. */
const TOKENS = 512;
const WIDTH = 576;

export const PRODUCTS: readonly Case[] = [
  square(64, 'nn', { quick: true, peers: true }),
  ...[256, 512, 1024, 2048].map((n) => square(n, 'nn', { peers: true })),
  ...(['nt', 'tn'] as const).flatMap((layout) => [256, 512, 1024].map((n) => square(n, layout))),
  ...[8, 16].flatMap((r) => [
    productCase(`to rank ${r}`, 'nt', { m: TOKENS, n: r, k: WIDTH }, { quick: r === 8 }),
    productCase(`from rank ${r}`, 'nt', { m: TOKENS, n: WIDTH, k: r }),
    productCase(`gradient of A, rank ${r}`, 'tn', { m: r, n: WIDTH, k: TOKENS }),
  ]),
  ...[1000, 8192, 49_152].map((V) =>
    productCase(`head of ${V}`, 'nt', { m: 128, n: V, k: WIDTH }, { quick: V === 1000 }),
  ),
];
