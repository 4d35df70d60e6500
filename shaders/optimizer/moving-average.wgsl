// An exponential moving average, element by element: average ← α value + (1 − α) average.

#include "lib/dispatch.wgsl"

struct Params {
  count: u32,
  alpha: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>; // (count)
@group(0) @binding(2) var<storage, read_write> average: array<f32>; // (count)

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn step(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i < params.count) {
    average[i] = params.alpha * values[i] + (1.0 - params.alpha) * average[i];
  }
}
