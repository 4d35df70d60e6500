// Weights in half precision, two per word, without `shader-f16`. On a device that flushes subnormals to zero, as WGSL allows,
// weights below 2^−14 are lost.

alias Packed = vec2u;

fn weight4(at: u32) -> vec4f {
  let words = weights[at];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn weight1(at: u32) -> f32 {
  return unpack2x16float(weights[at / 4u][at / 2u % 2u])[at % 2u];
}
