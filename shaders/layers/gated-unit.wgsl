// The gated unit of a feed-forward layer (Shazeer 2020): y = act(gate) · up, with SiLU (SwiGLU) or GELU (GeGLU).

#include "lib/activation.wgsl"
#include "lib/dispatch.wgsl"

struct Params {
  count: u32, // of Elements
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<Element>;
@group(0) @binding(2) var<storage, read> up: array<Element>;
@group(0) @binding(3) var<storage, read_write> y: array<Element>;
@group(0) @binding(4) var<storage, read> dy: array<Element>;
@group(0) @binding(5) var<storage, read_write> dgate: array<Element>;
@group(0) @binding(6) var<storage, read_write> dup: array<Element>;

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i >= params.count) {
    return;
  }
  y[i] = gate[i] * openness(gate[i]) * up[i];
}

@compute @workgroup_size(WORKGROUP)
fn backward_gate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i >= params.count) {
    return;
  }
  let z = gate[i];
  var gradient = dy[i] * up[i] * activation_slope(z, openness(z));
  if (params.accumulate == 1u) {
    gradient += dgate[i];
  }
  dgate[i] = gradient;
}

@compute @workgroup_size(WORKGROUP)
fn backward_up(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i >= params.count) {
    return;
  }
  var gradient = dy[i] * gate[i] * openness(gate[i]);
  if (params.accumulate == 1u) {
    gradient += dup[i];
  }
  dup[i] = gradient;
}
