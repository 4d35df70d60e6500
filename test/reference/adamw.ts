/** AdamW (Loshchilov and Hutter 2019) in the order of operations of torch.optim.AdamW: decay first, then the step. */
import type { Reals } from './arrays.ts';

export interface AdamWOptions {
  /** 1 for the first update. */
  step: number;
  learningRate: number;
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Default 1e-8. */
  epsilon?: number;
  /** Default 0. */
  weightDecay?: number;
}

export interface AdamWState {
  parameter: Float64Array;
  /** First moment. */
  m: Float64Array;
  /** Second moment. */
  v: Float64Array;
}

/** A fresh state around a parameter. */
export function adamWState(parameter: Reals): AdamWState {
  return {
    parameter: Float64Array.from(parameter),
    m: new Float64Array(parameter.length),
    v: new Float64Array(parameter.length),
  };
}

/**
 * p ← p (1 − lr·wd);  m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;
 * p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε). Returns a new state.
 */
export function adamW({ parameter, m, v }: AdamWState, gradient: Reals, options: AdamWOptions): AdamWState {
  const { step, learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  const newM = m.map((value, i) => beta1 * value + (1 - beta1) * gradient[i]);
  const newV = v.map((value, i) => beta2 * value + (1 - beta2) * gradient[i] ** 2);
  const rate = learningRate / (1 - beta1 ** step);
  const correction = Math.sqrt(1 - beta2 ** step);
  return {
    parameter: parameter.map((value, i) => {
      const decayed = value * (1 - learningRate * weightDecay);
      return decayed - (rate * newM[i]) / (Math.sqrt(newV[i]) / correction + epsilon);
    }),
    m: newM,
    v: newV,
  };
}
