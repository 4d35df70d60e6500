/**
 * A linear layer y = x Wᵀ + b, with optional low-rank adapters (Hu et al. 2021), and added to its residual: y = f · (x Wᵀ +
 * b + s · (x Aᵀ) Bᵀ) + residual, where f is usually 1. On a GPU this is one pass over y if there is one adapter. Weights
 * without `requiresGrad` have no gradient kernel.
 */
import type { GradientSlot, Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { copyInto } from './add.ts';
import { biasGradient, fillWithBias } from './bias.ts';
import type { LowRankFactors } from './matmul.ts';
import { product } from './product.ts';

/** A low-rank adapter: A (r, in), B (out, r), and the factor s = α/r (rsLoRA: α/√r). */
export interface LowRank {
  a: Tensor;
  b: Tensor;
  scale: number;
}

/** The other terms of the sum. */
export interface LinearTerms {
  /** Several adapters add up. */
  adapters?: readonly LowRank[];
  /** (out) */
  bias?: Tensor | undefined;
  /** (N, out) */
  residual?: Tensor | undefined;
  /** Factor of everything except the residual. */
  scale?: number | undefined;
}

/** x (N, in), weight (out, in) → y (N, out). */
export function linear(
  tape: Tape,
  x: Tensor,
  weight: Tensor,
  { adapters = [], bias, residual, scale: factor = 1 }: LinearTerms = {},
): Tensor {
  const { gpu } = tape;
  const [out, inputs] = weight.shape as [number, number];
  if (x.cols !== inputs) throw new RangeError(`linear: x is ${x}, but the weight is ${weight}`);
  const n = x.rows;
  if (residual && residual.length !== n * out)
    throw new RangeError(`linear: the residual is ${residual}, but the result is (${n}, ${out})`);
  const y = tape.empty([n, out], `${weight.label} output`);
  // u = s · x Aᵀ
  const projections = adapters.map(({ a, scale }) => {
    const u = tape.empty([n, a.rows], `${a.label} output`);
    product(gpu, 'nt', x, a, u, { m: n, n: a.rows, k: inputs }, { scale });
    return u;
  });
  const [lowRank, ...others] = adapters.map(
    ({ a, b }, i): LowRankFactors => ({ narrow: projections[i], wide: b, rank: a.rows }),
  );
  const fills = bias && (residual || factor !== 1);
  if (fills) fillWithBias(gpu, bias, y, { scale: factor });
  product(
    gpu,
    'nt',
    x,
    weight,
    y,
    { m: n, n: out, k: inputs },
    { scale: factor, accumulate: fills ? 1 : 0, lowRank, addend: residual ?? (fills ? undefined : bias) },
  );
  for (const { narrow, wide, rank } of others)
    product(gpu, 'nt', narrow, wide, y, { m: n, n: out, k: rank }, { scale: factor, accumulate: 1 });

  const backward = () => {
    const dy = y.grad!;
    const ofSlot = ({ accumulate }: GradientSlot) => ({ scale: factor, accumulate });
    const dw = tape.gradient(weight);
    if (dw) product(gpu, 'tn', dy, x, dw.grad, { m: out, n: inputs, k: n }, ofSlot(dw));
    const dbias = bias && tape.gradient(bias);
    if (dbias) biasGradient(gpu, dy, dbias, factor);
    const narrowed = adapters.map(({ a, b, scale }, i) => {
      const u = projections[i];
      const r = a.rows;
      const du = tape.empty([n, r], `d ${u.label}`);
      // The gradient of x Aᵀ, which is u without the adapter's scale. The layer's scale is applied when this gradient is used.
      product(gpu, 'nn', dy, b, du, { m: n, n: r, k: out }, { scale });
      const db = tape.gradient(b);
      if (db) product(gpu, 'tn', dy, u, db.grad, { m: out, n: r, k: n }, ofSlot(db));
      const da = tape.gradient(a);
      if (da) product(gpu, 'tn', du, x, da.grad, { m: r, n: inputs, k: n }, ofSlot(da));
      return { narrow: du, wide: a, rank: r };
    });
    const dx = tape.gradient(x);
    if (dx) {
      const [lowRank, ...others] = narrowed;
      const { accumulate } = dx;
      const options = { scale: factor, accumulate, lowRank };
      product(gpu, 'nn', dy, weight, dx.grad, { m: n, n: inputs, k: out }, options);
      for (const { narrow, wide, rank } of others) {
        const size = { m: n, n: inputs, k: rank };
        product(gpu, 'nn', narrow, wide, dx.grad, size, { scale: factor, accumulate: 1 });
      }
    }
    for (const { narrow } of narrowed) tape.release(narrow);
    if (!residual || tape.handOver(y, residual)) return;
    const slot = tape.gradient(residual);
    if (slot) copyInto(gpu, dy, slot.grad, slot.accumulate);
  };
  const terms = [bias, residual].filter((term) => term !== undefined);
  const inputsOfEntry = [x, weight, ...terms, ...adapters.flatMap(({ a, b }) => [a, b])];
  // The gradient of x does not need x, but that of a matrix does.
  const reads = [weight, ...adapters.map(({ a }) => a)].some((matrix) => matrix.requiresGrad) ? [x] : [];
  tape.record({ inputs: inputsOfEntry, outputs: [y], reads, saved: projections, backward });
  return y;
}
