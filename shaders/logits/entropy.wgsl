// Entropy of the rows of a logits buffer (N, V) in nats, one workgroup per row: with u = z − m relative to the row's
// largest entry and S = Σ e^u, H = log S − Σ e^u u / S. The gradient dlogits = −dentropy · p (log p + H) equals p (mean(u)
// − u) in the same terms. Masked entries (−∞) contribute nothing and get 0; a fully masked row has entropy 0.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols)
@group(0) @binding(2) var<storage, read_write> entropy: array<f32>; // (rows)
@group(0) @binding(3) var<storage, read_write> states: array<Online>; // (rows, 5)
@group(0) @binding(4) var<storage, read> saved_states: array<Online>; // (rows, 5)
@group(0) @binding(5) var<storage, read> dentropy: array<f32>; // (rows)
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
    entropy[row] = online_entropy(state);
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
  let inverse = online_inverse(state);
  let mean = state.spread * inverse;
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = logits[start + i];
    var gradient = 0.0;
    if (bits != MASKED) {
      let p = online_weight(state, bits) * inverse;
      gradient = dentropy[row] * p * (mean - (bitcast<f32>(bits) - state.largest));
    }
    if (params.accumulate == 1u) {
      gradient += dlogits[start + i];
    }
    dlogits[start + i] = gradient;
  }
}
