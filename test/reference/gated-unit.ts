/** Gated units (Shazeer 2020), y = act(gate) ⊙ up, and the activations alone. Any shape, element by element. */
import { type Reals, sigmoid } from './arrays.ts';

/** GELU in the tanh form of PyTorch, ½ x (1 + tanh u) with u = √(2/π) (x + 0.044715 x³). */
export function gelu(x: number): { value: number; slope: number } {
  const k = Math.sqrt(2 / Math.PI);
  const t = Math.tanh(k * (x + 0.044715 * x ** 3));
  const du = k * (1 + 3 * 0.044715 * x ** 2);
  return { value: 0.5 * x * (1 + t), slope: 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du };
}

/** y = gelu(gate) ⊙ up. */
export function geglu(gate: Reals, up: Reals): Float64Array {
  return Float64Array.from({ length: gate.length }, (_, i) => gelu(gate[i]).value * up[i]);
}

export function gegluBackward(dy: Reals, gate: Reals, up: Reals) {
  return {
    dgate: Float64Array.from({ length: gate.length }, (_, i) => dy[i] * up[i] * gelu(gate[i]).slope),
    dup: Float64Array.from({ length: gate.length }, (_, i) => dy[i] * gelu(gate[i]).value),
  };
}

/** y = silu(gate) ⊙ up, silu(x) = x · σ(x). */

export function swiglu(gate: Reals, up: Reals): Float64Array {
  return Float64Array.from({ length: gate.length }, (_, i) => gate[i] * sigmoid(gate[i]) * up[i]);
}

/** silu′(x) = σ(x) · (1 + x · (1 − σ(x))). */
export function swigluBackward(dy: Reals, gate: Reals, up: Reals) {
  const dgate = new Float64Array(gate.length);
  const dup = new Float64Array(gate.length);
  for (let i = 0; i < gate.length; i++) {
    const s = sigmoid(gate[i]);
    dgate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
    dup[i] = dy[i] * gate[i] * s;
  }
  return { dgate, dup };
}
