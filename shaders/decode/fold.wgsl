// The weights of a layer for decoding: in float32, with its low-rank adapter added and the weight of the preceding norm
// multiplied in. Each dispatch processes some rows of a stack; a file of formats/ reads the weights.

#include "lib/dispatch.wgsl"

struct Params {
  count: u32, // vectors
  first: u32, // of y
  depth: u32, // vectors of a row
  rank: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<Packed>; // (rows, k)
@group(0) @binding(2) var<storage, read> narrow: array<vec4f>; // A (rank, k)
@group(0) @binding(3) var<storage, read> wide: array<f32>; // B (rows, rank)
@group(0) @binding(4) var<storage, read> gain: array<vec4f>; // (k)
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // a stack

const WORKGROUP: u32 = 64;
const OFFSET: bool = false; // 1 is added to the gain

// y = W
@compute @workgroup_size(WORKGROUP)
fn unpack(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id < params.count) {
    y[params.first + id] = weight4(id);
  }
}

// y += scale · B A. Each thread computes four rows of y, which share the values of A. The number of rows is a multiple of
// four.
@compute @workgroup_size(WORKGROUP)
fn add_low_rank(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (4u * id >= params.count) {
    return;
  }
  let row = 4u * (id / params.depth);
  let column = id % params.depth;
  let b = (row + vec4u(0u, 1u, 2u, 3u)) * params.rank;
  var sum = mat4x4f();
  for (var r = 0u; r < params.rank; r++) {
    let a = narrow[r * params.depth + column];
    sum += mat4x4f(wide[b.x + r] * a, wide[b.y + r] * a, wide[b.z + r] * a, wide[b.w + r] * a);
  }
  let at = params.first + row * params.depth + column;
  y[at] += params.scale * sum[0];
  y[at + params.depth] += params.scale * sum[1];
  y[at + 2u * params.depth] += params.scale * sum[2];
  y[at + 3u * params.depth] += params.scale * sum[3];
}

// y = y · diag(gain)
@compute @workgroup_size(WORKGROUP)
fn apply_gain(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id >= params.count) {
    return;
  }
  var factor = gain[id % params.depth];
  if (OFFSET) {
    factor += 1.0;
  }
  y[params.first + id] *= factor;
}
