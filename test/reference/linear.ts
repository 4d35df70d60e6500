/**
 * y = x Wᵀ, as every linear layer of a Hugging Face checkpoint stores it, and the low-rank update LoRA adds to it
 * (Hu et al. 2021): y = x Wᵀ + s (x Aᵀ) Bᵀ.
 */
import { accumulate, type Reals, scaled } from './arrays.ts';

/** x (rows, inFeatures), W (outFeatures, inFeatures), y (rows, outFeatures). */
export interface LinearShape {
  rows: number;
  inFeatures: number;
  outFeatures: number;
}

/** y (rows, out) = x (rows, in) · W (out, in)ᵀ. */
export function linear(
  x: Reals,
  weight: Reals,
  { rows, inFeatures, outFeatures }: LinearShape,
): Float64Array {
  const y = new Float64Array(rows * outFeatures);
  for (let n = 0; n < rows; n++) {
    for (let o = 0; o < outFeatures; o++) {
      let sum = 0;
      for (let i = 0; i < inFeatures; i++) sum += x[n * inFeatures + i] * weight[o * inFeatures + i];
      y[n * outFeatures + o] = sum;
    }
  }
  return y;
}

/** dx (rows, in) = dy (rows, out) · W (out, in). */
export function linearBackwardInput(dy: Reals, weight: Reals, shape: LinearShape): Float64Array {
  const { rows, inFeatures, outFeatures } = shape;
  const dx = new Float64Array(rows * inFeatures);
  for (let n = 0; n < rows; n++) {
    for (let o = 0; o < outFeatures; o++) {
      const upstream = dy[n * outFeatures + o];
      for (let i = 0; i < inFeatures; i++) dx[n * inFeatures + i] += upstream * weight[o * inFeatures + i];
    }
  }
  return dx;
}

/** dW (out, in) = dy (rows, out)ᵀ · x (rows, in). */
export function linearBackwardWeight(dy: Reals, x: Reals, shape: LinearShape): Float64Array {
  const { rows, inFeatures, outFeatures } = shape;
  const dweight = new Float64Array(outFeatures * inFeatures);
  for (let n = 0; n < rows; n++) {
    for (let o = 0; o < outFeatures; o++) {
      const upstream = dy[n * outFeatures + o];
      for (let i = 0; i < inFeatures; i++) dweight[o * inFeatures + i] += upstream * x[n * inFeatures + i];
    }
  }
  return dweight;
}

/** One adapter: A (rank, in), B (out, rank), and the factor s = alpha / rank (rsLoRA: alpha / √rank). */
export interface LoraAdapter {
  a: Reals;
  b: Reals;
  rank: number;
  scale: number;
}

/** The result of a LoRA linear layer: y, and the narrow product x Aᵀ (rows, rank) that the backward pass needs. */
export function loraLinear(
  x: Reals,
  weight: Reals,
  adapter: LoraAdapter,
  shape: LinearShape,
): { y: Float64Array; narrow: Float64Array } {
  const { down, up } = loraShapes(adapter, shape);
  const narrow = linear(x, adapter.a, down);
  const y = linear(x, weight, shape);
  accumulate(y, scaled(linear(narrow, adapter.b, up), adapter.scale));
  return { y, narrow };
}

/** Gradients of {@link loraLinear}: dx through both branches, dA (rank, in), dB (out, rank). dW is that of `linear`. */
export function loraLinearBackward(
  dy: Reals,
  x: Reals,
  narrow: Reals,
  weight: Reals,
  adapter: LoraAdapter,
  shape: LinearShape,
): { dx: Float64Array; da: Float64Array; db: Float64Array } {
  const { down, up } = loraShapes(adapter, shape);
  const dyScaled = scaled(dy, adapter.scale);
  const dnarrow = linearBackwardInput(dyScaled, adapter.b, up);
  const dx = linearBackwardInput(dy, weight, shape);
  accumulate(dx, linearBackwardInput(dnarrow, adapter.a, down));
  return { dx, da: linearBackwardWeight(dnarrow, x, down), db: linearBackwardWeight(dyScaled, narrow, up) };
}

function loraShapes({ rank }: LoraAdapter, { rows, inFeatures, outFeatures }: LinearShape) {
  return {
    down: { rows, inFeatures, outFeatures: rank },
    up: { rows, inFeatures: rank, outFeatures },
  };
}
