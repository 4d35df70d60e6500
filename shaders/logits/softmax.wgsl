// Softmax and log-softmax over the rows of a logits buffer (N, V), one workgroup per row, two passes. Entries of −∞ are
// masked: probability 0, log-probability −∞ (written as bits), gradient 0, and their upstream gradient is ignored. A fully
// masked row has probabilities 0.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols)
@group(0) @binding(2) var<storage, read_write> probs: array<f32>; // (rows, cols)
@group(0) @binding(3) var<storage, read_write> logprobs: array<u32>; // (rows, cols)
@group(0) @binding(4) var<storage, read> saved_probs: array<f32>; // (rows, cols)
@group(0) @binding(5) var<storage, read> saved_logprobs: array<u32>; // (rows, cols)
@group(0) @binding(6) var<storage, read> dy: array<f32>; // (rows, cols)
@group(0) @binding(7) var<storage, read_write> dlogits: array<f32>; // (rows, cols)

// p = e^(z − m) / Σ
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
  let start = row * params.cols;
  let share = share_of(params.cols, lane);
  let state = online_row(start, params.cols, lane);
  let inverse = online_inverse(state);
  for (var i = share.first; i < share.end; i += TEAM) {
    probs[start + i] = online_weight(state, logits[start + i]) * inverse;
  }
}

// log p = (z − m) − log Σ
@compute @workgroup_size(WORKGROUP)
fn forward_log(
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
  let state = online_row(start, params.cols, lane);
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = logits[start + i];
    if (bits == MASKED) {
      logprobs[start + i] = MASKED;
    } else {
      logprobs[start + i] = bitcast<u32>(online_logprob(state, bits));
    }
  }
}

// dlogits = p · (dy − Σ p dy)
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
  var part = 0.0;
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var sum = 0.0;
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      sum += saved_probs[start + i] * dy[start + i];
    }
    part += sum;
  }
  let mean = reduce_sum(part, lane);
  for (var i = share.first; i < share.end; i += TEAM) {
    store(start + i, saved_probs[start + i] * (dy[start + i] - mean));
  }
}

// dlogits = dy − p · Σ dy
@compute @workgroup_size(WORKGROUP)
fn backward_log(
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
  var part = 0.0;
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var sum = 0.0;
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      if (saved_logprobs[start + i] != MASKED) {
        sum += dy[start + i];
      }
    }
    part += sum;
  }
  let total = reduce_sum(part, lane);
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = saved_logprobs[start + i];
    if (bits == MASKED) {
      store(start + i, 0.0);
    } else {
      store(start + i, dy[start + i] - exp(bitcast<f32>(bits)) * total);
    }
  }
}

fn store(at: u32, gradient: f32) {
  if (params.accumulate == 1u) {
    dlogits[at] += gradient;
  } else {
    dlogits[at] = gradient;
  }
}
