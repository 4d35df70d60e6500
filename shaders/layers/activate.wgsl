// The activation of a feed-forward layer without a gate: y = act(x).

#include "lib/activation.wgsl"
#include "lib/dispatch.wgsl"

struct Params {
  count: u32, // number of Elements
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;
@group(0) @binding(3) var<storage, read> dy: array<Element>;
@group(0) @binding(4) var<storage, read_write> dx: array<Element>;

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i < params.count) {
    y[i] = x[i] * openness(x[i]);
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
  var gradient = dy[i] * activation_slope(x[i], openness(x[i]));
  if (params.accumulate == 1u) {
    gradient += dx[i];
  }
  dx[i] = gradient;
}
