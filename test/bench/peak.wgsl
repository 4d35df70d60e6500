// The two simplest kernels: one that only multiplies and adds, one that only copies. They say what an adapter can do at
// most, so that the others can be told as a share of it.

#include "lib/dispatch.wgsl"

struct Params {
  vectors: u32,
  rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;

const WORKGROUP: u32 = 64;

// Eight sums that do not wait for each other, four lanes each, two operations a lane: 64 a round.
@compute @workgroup_size(WORKGROUP)
fn multiply_add(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i >= params.vectors) {
    return;
  }
  let x = source[i];
  let m = 0.5 + 0.1 * x;
  var a = x;
  var b = x + 1;
  var c = x + 2;
  var d = x + 3;
  var e = x + 4;
  var f = x + 5;
  var g = x + 6;
  var h = x + 7;
  for (var round = 0u; round < params.rounds; round++) {
    a = a * m + x;
    b = b * m + x;
    c = c * m + x;
    d = d * m + x;
    e = e * m + x;
    f = f * m + x;
    g = g * m + x;
    h = h * m + x;
  }
  result[i] = a + b + c + d + e + f + g + h;
}

@compute @workgroup_size(WORKGROUP)
fn copy(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i < params.vectors) {
    result[i] = source[i];
  }
}
