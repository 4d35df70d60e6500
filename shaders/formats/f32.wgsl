// Weights in float32.

alias Packed = vec4f;

fn weight4(at: u32) -> vec4f {
  return weights[at];
}

fn weight1(at: u32) -> f32 {
  return weights[at / 4u][at % 4u];
}
