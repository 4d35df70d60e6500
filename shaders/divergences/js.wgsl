// The Jensen–Shannon divergence (Wang et al. 2024): f′ = log 2 + log σ(r), slope σ(−r). Written as
// min(r, 0) − log((1 + e^−|r|) / 2), which has no cancellation near r = 0.

fn divergence(ratio: f32, alpha: f32) -> Curve {
  return Curve(min(ratio, 0.0) - log1p_unit(0.5 * expm1(-abs(ratio))), sigmoid(-ratio));
}
