// The residual sum y = a + b, and its gradient: dy, set or added to the gradient of each summand.

#include "lib/dispatch.wgsl"

// Replaced by vec4f if the number of elements is a multiple of four: one access then loads four times as much.
alias Element = f32;

struct Params {
  count: u32, // number of Elements
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Element>;
@group(0) @binding(2) var<storage, read> b: array<Element>;
@group(0) @binding(3) var<storage, read_write> y: array<Element>;
@group(0) @binding(4) var<storage, read> dy: array<Element>;
@group(0) @binding(5) var<storage, read_write> dx: array<Element>;

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i < params.count) {
    y[i] = a[i] + b[i];
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i >= params.count) {
    return;
  }
  var gradient = dy[i];
  if (params.accumulate == 1u) {
    gradient += dx[i];
  }
  dx[i] = gradient;
}
