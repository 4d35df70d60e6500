// Log-sum-exp of the rows of a logits buffer (N, V), one workgroup per row: lse = m + log Σ e^(z − m), and its gradient
// dlogits = dlse · softmax. A fully masked row (all −∞) has lse −∞, written as bits, and gradient 0.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols)
@group(0) @binding(2) var<storage, read_write> lse: array<u32>; // (rows)
@group(0) @binding(3) var<storage, read_write> states: array<Online>; // (rows, 5)
@group(0) @binding(4) var<storage, read> saved_states: array<Online>; // (rows, 5)
@group(0) @binding(5) var<storage, read> dlse: array<f32>; // (rows)
@group(0) @binding(6) var<storage, read_write> dlogits: array<f32>; // (rows, cols)

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let state = online_row(row * params.cols, params.cols, lane);
  if (lane == 0u) {
    states[row] = state;
    if (state.sum == 0.0) {
      lse[row] = MASKED;
    } else {
      lse[row] = bitcast<u32>(state.largest + online_log_sum(state));
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.cols;
  let share = share_of(params.cols, lane);
  let state = saved_states[row];
  let scale = dlse[row] * online_inverse(state);
  for (var i = share.first; i < share.end; i += TEAM) {
    var gradient = online_weight(state, logits[start + i]) * scale;
    if (params.accumulate == 1u) {
      gradient += dlogits[start + i];
    }
    dlogits[start + i] = gradient;
  }
}
