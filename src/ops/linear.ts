/**
 * A linear layer y = x Wᵀ + b, with a low-rank adapter beside it where one is given (Hu et al. 2021):
 * y = x Wᵀ + b + s · (x Aᵀ) Bᵀ. Weights without `requiresGrad` get no gradient kernel.
 */
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { biasGradient, fillWithBias } from './bias.ts';
import { product } from './matmul.ts';

/** A low-rank adapter: A (r, in), B (out, r), and the factor s = α/r (rsLoRA: α/√r). */
export interface LowRank {
  a: Tensor;
  b: Tensor;
  scale: number;
}

/** x (N, in), weight (out, in), bias (out) → y (N, out). Several adapters add up. */
export function linear(
  tape: Tape,
  x: Tensor,
  weight: Tensor,
  adapters: readonly LowRank[] = [],
  bias?: Tensor,
): Tensor {
  const { gpu } = tape;
  const [out, inputs] = weight.shape as [number, number];
  if (x.cols !== inputs) throw new RangeError(`linear: x is ${x}, but the weight is ${weight}`);
  const n = x.rows;
  const y = tape.empty([n, out], `${weight.label} output`);
  if (bias) fillWithBias(gpu, bias, y);
  product(gpu, 'nt', x, weight, y, { m: n, n: out, k: inputs }, { accumulate: bias ? 1 : 0 });
  const projections = adapters.map(({ a, b, scale }) => {
    const r = a.rows;
    const u = tape.empty([n, r], `${a.label} output`);
    product(gpu, 'nt', x, a, u, { m: n, n: r, k: inputs });
    product(gpu, 'nt', u, b, y, { m: n, n: out, k: r }, { scale, accumulate: 1 });
    return u;
  });

  const backward = () => {
    const dy = y.grad as Tensor;
    const dx = tape.gradient(x);
    if (dx) {
      product(gpu, 'nn', dy, weight, dx.grad, { m: n, n: inputs, k: out }, { accumulate: dx.accumulate });
    }
    const dw = tape.gradient(weight);
    if (dw) product(gpu, 'tn', dy, x, dw.grad, { m: out, n: inputs, k: n }, { accumulate: dw.accumulate });
    const dbias = bias && tape.gradient(bias);
    if (dbias) biasGradient(gpu, dy, dbias);
    adapters.forEach(({ a, b, scale }, i) => {
      const u = projections[i] as Tensor;
      const r = a.rows;
      const du = tape.empty([n, r], `d ${u.label}`);
      product(gpu, 'nn', dy, b, du, { m: n, n: r, k: out }, { scale });
      const db = tape.gradient(b);
      if (db)
        product(gpu, 'tn', dy, u, db.grad, { m: out, n: r, k: n }, { scale, accumulate: db.accumulate });
      const da = tape.gradient(a);
      if (da) product(gpu, 'tn', du, x, da.grad, { m: r, n: inputs, k: n }, { accumulate: da.accumulate });
      // The first product has set dx.
      if (dx) product(gpu, 'nn', du, a, dx.grad, { m: n, n: inputs, k: r }, { accumulate: 1 });
      tape.release(du);
    });
  };
  const inputsOfEntry = [x, weight, ...(bias ? [bias] : []), ...adapters.flatMap(({ a, b }) => [a, b])];
  tape.record({ inputs: inputsOfEntry, outputs: [y], saved: projections, backward });
  return y;
}
