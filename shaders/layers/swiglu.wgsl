// The gated unit of Llama's feed-forward layer (Shazeer 2020): y = silu(gate) · up, silu(z) = z · σ(z).

#include "lib/dispatch.wgsl"

// Replaced by vec4f where the number of elements allows: an access costs the same, for four times as much.
alias Element = f32;

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

fn sigmoid(z: Element) -> Element {
  return 1.0 / (1.0 + exp(-z));
}

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
  y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

// silu′(z) = σ(z) · (1 + z · (1 − σ(z)))
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
  let s = sigmoid(z);
  var gradient = dy[i] * up[i] * s * (1.0 + z * (1.0 - s));
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
  var gradient = dy[i] * gate[i] * sigmoid(gate[i]);
  if (params.accumulate == 1u) {
    gradient += dup[i];
  }
  dup[i] = gradient;
}
