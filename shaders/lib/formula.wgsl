// Building blocks of loss formulas, with their derivatives. Independent of pairs and tokens.

#include "lib/exponentials.wgsl"

// A function's value and its derivative.
struct Curve {
  value: f32,
  slope: f32,
}

// The largest number of float32.
const LARGEST: f32 = 3.4028234e38;

// β Δ, clamped to finite values, so that no formula computes 0 · ∞: scores of f-divergences reach 10³⁴.
fn scaled(beta: f32, margin: f32) -> f32 {
  return clamp(beta * margin, -LARGEST, LARGEST);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// 1 / (1 + e^−z), without overflow at either end.
fn sigmoid(z: f32) -> f32 {
  let e = precise_exp(-abs(z));
  return select(e, 1.0, z >= 0.0) / (1.0 + e);
}

// dσ/dz, even in z.
fn sigmoid_slope(z: f32) -> f32 {
  let e = precise_exp(-abs(z));
  return e / ((1.0 + e) * (1.0 + e));
}

// log σ(z) = min(z, 0) − log(1 + e^−|z|), without overflow, and accurate where the sigmoid is next to 1.
fn log_sigmoid(z: f32) -> f32 {
  return min(z, 0.0) - log1p_unit(precise_exp(-abs(z)));
}

// −(1 − ε) log σ(z) − ε log σ(−z): the cross-entropy of a comparison whose label is swapped with probability ε.
fn logistic(z: f32, flipped: f32) -> Curve {
  let value = -(1.0 - flipped) * log_sigmoid(z) - flipped * log_sigmoid(-z);
  return Curve(value, flipped * sigmoid(z) - (1.0 - flipped) * sigmoid(-z));
}
