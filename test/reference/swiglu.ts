/** The gated unit of Llama's MLP (Shazeer 2020): y = silu(gate) ⊙ up, silu(x) = x · σ(x). Any shape, element by element. */
import { type Reals, sigmoid } from './arrays.ts';

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
