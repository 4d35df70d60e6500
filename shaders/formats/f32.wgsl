// Weights in float32.

alias Packed = vec4f;

fn weight4(at: u32) -> vec4f {
  return weights[at];
}
