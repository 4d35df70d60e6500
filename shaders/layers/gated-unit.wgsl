// The gated unit of a feed-forward layer (Shazeer 2020): y = act(gate) · up, with SiLU (SwiGLU) or GELU (GeGLU). Backward,
// one pass computes both gradients, which share intermediate values.

#include "lib/activation.wgsl"
#include "lib/dispatch.wgsl"

struct Params {
  count: u32, // number of Elements
  accumulate_gate: u32,
  accumulate_up: u32,
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
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  if (i >= params.count) {
    return;
  }
  let z = gate[i];
  let open = openness(z);
  let upstream = dy[i];
  var to_gate = upstream * up[i] * activation_slope(z, open);
  var to_up = upstream * z * open;
  if (params.accumulate_gate == 1u) {
    to_gate += dgate[i];
  }
  if (params.accumulate_up == 1u) {
    to_up += dup[i];
  }
  dgate[i] = to_gate;
  dup[i] = to_up;
}
