// Objective (1) of KL-regularized alignment, J(π) = E_π[r] − β KL(π ‖ π_ref), from its two parts, one thread per row; and
// the gradients: dreward = dvalue, dkl = −β dvalue. A divergence of +∞ (the policy leaves the reference's support) or an
// expectation of −∞ makes the objective −∞; it is written as bits, because WGSL lets an implementation assume that no f32
// is infinite.

#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> reward: array<u32>; // (rows): E_π[r]
@group(0) @binding(2) var<storage, read> kl: array<u32>; // (rows)
@group(0) @binding(3) var<storage, read> beta: array<f32>; // (rows)
@group(0) @binding(4) var<storage, read_write> value: array<u32>; // (rows): J
@group(0) @binding(5) var<storage, read> dvalue: array<f32>; // (rows)
@group(0) @binding(6) var<storage, read_write> dreward: array<f32>; // (rows)
@group(0) @binding(7) var<storage, read_write> dkl: array<f32>; // (rows)

const WORKGROUP: u32 = 64;
const INFINITE: u32 = 0x7f800000u; // the bits of +∞
const MINUS_INFINITE: u32 = 0xff800000u;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups) * WORKGROUP + lane;
  if (row >= params.rows) {
    return;
  }
  if (kl[row] == INFINITE || reward[row] == MINUS_INFINITE) {
    value[row] = MINUS_INFINITE;
  } else {
    value[row] = bitcast<u32>(bitcast<f32>(reward[row]) - beta[row] * bitcast<f32>(kl[row]));
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward_reward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups) * WORKGROUP + lane;
  if (row >= params.rows) {
    return;
  }
  var gradient = dvalue[row];
  if (params.accumulate == 1u) {
    gradient += dreward[row];
  }
  dreward[row] = gradient;
}

@compute @workgroup_size(WORKGROUP)
fn backward_kl(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups) * WORKGROUP + lane;
  if (row >= params.rows) {
    return;
  }
  var gradient = -beta[row] * dvalue[row];
  if (params.accumulate == 1u) {
    gradient += dkl[row];
  }
  dkl[row] = gradient;
}
