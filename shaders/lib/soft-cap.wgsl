// The soft cap of attention scores and logits (Gemma 2), cap · tanh(x / cap), and its derivative. The including file defines
// `Capped`: f32 or a vector.
// WGSL's tanh may be as inaccurate as a quotient of exponentials, which cancel around 0, where most scores are; there a series is used.

const SERIES_ENDS: f32 = 0.4; // the first omitted term is 6e-8 of the sum

fn soft_tanh(x: Capped) -> Capped {
  let u = clamp(x, Capped(-10.0), Capped(10.0));
  let square = u * u;
  let higher = square * (-17.0 / 315.0 + square * (62.0 / 2835.0 - square * (1382.0 / 155925.0)));
  let near = u + u * square * (-1.0 / 3.0 + square * (2.0 / 15.0 + higher));
  let power = exp(2.0 * u);
  let far = (power - 1.0) / (power + 1.0);
  return select(far, near, abs(u) < Capped(SERIES_ENDS));
}

fn soft_capped(x: Capped, cap: f32) -> Capped {
  return cap * soft_tanh(x / cap);
}

// d capped / d x, from the capped value.
fn soft_cap_slope(capped: Capped, cap: f32) -> Capped {
  let t = capped / cap;
  return 1.0 - t * t;
}
