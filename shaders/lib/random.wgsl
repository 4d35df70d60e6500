// pcg3d (Jarzynski and Olano 2020, Hash Functions for GPU Rendering) to [0, 1) in steps of 2⁻²⁴.
fn uniform_random(seed: u32, sequence: u32, step: u32) -> f32 {
  var v = vec3u(seed, sequence, step) * 1664525u + 1013904223u;
  v.x += v.y * v.z;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v ^= v >> vec3u(16u);
  v.x += v.y * v.z;
  return f32(v.x >> 8u) / 16777216.0;
}
