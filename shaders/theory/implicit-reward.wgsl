// The reward for which a given policy is optimal, f = β log(π / π_ref) + β log Z, one thread per answer, from normalized
// log-probabilities.
//
// Masks (−∞): an answer that the policy excludes has reward −∞, so that the inverse excludes it again, and so does one that
// both exclude; one that only the reference excludes would need +∞.

#include "lib/dispatch.wgsl"

struct Params {
  count: u32, // rows · cols
  cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> log_policy: array<u32>; // (rows, cols)
@group(0) @binding(2) var<storage, read> log_reference: array<u32>; // (rows, cols)
@group(0) @binding(3) var<storage, read> beta: array<f32>; // (rows)
@group(0) @binding(4) var<storage, read> optimum: array<f32>; // (rows): β log Z
@group(0) @binding(5) var<storage, read_write> rewards: array<u32>; // (rows, cols)

const WORKGROUP: u32 = 64;
const MASKED: u32 = 0xff800000u; // the bits of −∞
const INFINITE: u32 = 0x7f800000u; // the bits of +∞

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
  let row = i / params.cols;
  if (log_policy[i] == MASKED) {
    rewards[i] = MASKED;
  } else if (log_reference[i] == MASKED) {
    rewards[i] = INFINITE;
  } else {
    let ratio = bitcast<f32>(log_policy[i]) - bitcast<f32>(log_reference[i]);
    rewards[i] = bitcast<u32>(beta[row] * ratio + optimum[row]);
  }
}
