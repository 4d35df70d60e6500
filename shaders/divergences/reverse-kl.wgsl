// The reverse KL, KL(π ‖ π_ref): f′ is the log-ratio itself. This is the original DPO.

fn divergence(ratio: f32, alpha: f32) -> Curve {
  return Curve(ratio, 1.0);
}
