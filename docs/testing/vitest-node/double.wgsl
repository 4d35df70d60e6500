// Doubles the first `count` numbers of x.
@group(0) @binding(0) var<uniform> count: u32;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < count) {
    x[id.x] = 2.0 * x[id.x];
  }
}
