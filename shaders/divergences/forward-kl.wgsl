// The forward KL, KL(π_ref ‖ π) (Wang et al. 2024): f′ = 1 − e^−r, slope e^−r. The exponent is clamped at 80, as for
// the α-divergence, so that scores stay finite; beyond that the slope is 0.

fn divergence(ratio: f32, alpha: f32) -> Curve {
  let exponent = min(-ratio, 80.0);
  return Curve(-expm1(exponent), select(0.0, precise_exp(exponent), -ratio <= 80.0));
}
