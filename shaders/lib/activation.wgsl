// Activations of feed-forward layers, z · σ(w(z)): SiLU with w = z, and GELU in its tanh form (Hendrycks and Gimpel 2016)
// with w = 2 √(2/π) (z + 0.044715 z³), because 1 + tanh(u) = 2 σ(2u).

// Replaced by vec4f if the number of elements is a multiple of four: one access then loads four times as much.
alias Element = f32;

const GELU: bool = false;
const GELU_SLOPE: f32 = 1.5957691216057308; // 2 √(2/π)
const GELU_CUBE: f32 = 0.044715;

fn sigmoid(z: Element) -> Element {
  return 1.0 / (1.0 + exp(-z));
}

// σ(w(z)). The cube in w exceeds the range of exp early.
fn openness(z: Element) -> Element {
  if (GELU) {
    return sigmoid(clamp(GELU_SLOPE * (z + GELU_CUBE * z * z * z), Element(-80.0), Element(80.0)));
  }
  return sigmoid(z);
}

// The derivative σ · (1 + z · w′ · (1 − σ)), from s = σ(w(z)).
fn activation_slope(z: Element, s: Element) -> Element {
  if (GELU) {
    return s * (1.0 + z * (1.0 - s) * GELU_SLOPE * (1.0 + 3.0 * GELU_CUBE * z * z));
  }
  return s * (1.0 + z * (1.0 - s));
}
