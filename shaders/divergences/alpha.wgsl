// The α-divergence (Wang et al. 2024): f′ = (e^((α−1) r) − 1) / (α − 1), slope e^((α−1) r). α → 1 is the reverse
// KL, α = 0 the forward one. The exponent is clamped at 80, so that scores stay finite; beyond that the slope is 0.

fn divergence(ratio: f32, alpha: f32) -> Curve {
  let power = alpha - 1.0;
  if (abs(power) < 1e-6) {
    return Curve(ratio, 1.0);
  }
  let exponent = min(power * ratio, 80.0);
  return Curve(expm1(exponent) / power, select(0.0, precise_exp(exponent), power * ratio <= 80.0));
}
