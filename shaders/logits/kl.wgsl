// Kullback–Leibler divergences between two logits buffers (N, V), row by row and exact: the reverse KL(π ‖ π_ref) of
// alignment and the forward KL(π_ref ‖ π), with their gradients to the policy's logits. One workgroup per row, two passes.
//
// With d = log a − log b, KL(a ‖ b) is summed as Σ a (d − 1 + e^−d) = Σ a d − a + b: the same number, because a and b sum
// to 1, but every term is ≥ 0 and an error in the normalizers only has a second-order effect, so that the divergence of two
// very similar policies is not lost in rounding.
//
// Masks (−∞): if both sides are masked, an entry contributes nothing; if only a is, its part of a is 0; if only b is, the
// divergence is +∞, written as bits. A row that is fully masked on either side has divergence 0 and gradient 0. A row of
// infinite divergence has no reverse gradient and gets 0.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
}

// The states of both rows; all members have four bytes.
struct KlState {
  policy: Online,
  reference: Online,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols): the policy
@group(0) @binding(2) var<storage, read> reference: array<u32>; // (rows, cols)
@group(0) @binding(3) var<storage, read_write> kl: array<u32>; // (rows)
@group(0) @binding(4) var<storage, read_write> states: array<KlState>; // (rows, 10)
@group(0) @binding(5) var<storage, read> saved_kl: array<u32>; // (rows)
@group(0) @binding(6) var<storage, read> saved_states: array<KlState>; // (rows, 10)
@group(0) @binding(7) var<storage, read> dkl: array<f32>; // (rows)
@group(0) @binding(8) var<storage, read_write> dlogits: array<f32>; // (rows, cols)

const INFINITE: u32 = 0x7f800000u; // the bits of +∞

@compute @workgroup_size(WORKGROUP)
fn reverse(
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
  let state = both_rows(start, lane);
  var divergence = 0.0;
  var outside = 0.0;
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var sum = 0.0;
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      let p = logits[start + i];
      let q = reference[start + i];
      sum += term(state.policy, p, state.reference, q);
      outside += select(0.0, 1.0, q == MASKED && p != MASKED);
    }
    divergence += sum;
  }
  write_row(row, state, reduce_sum(divergence, lane), reduce_sum(outside, lane), lane);
}

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
  let state = both_rows(start, lane);
  var divergence = 0.0;
  var outside = 0.0;
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var sum = 0.0;
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      let p = logits[start + i];
      let q = reference[start + i];
      sum += term(state.reference, q, state.policy, p);
      outside += select(0.0, 1.0, p == MASKED && q != MASKED);
    }
    divergence += sum;
  }
  write_row(row, state, reduce_sum(divergence, lane), reduce_sum(outside, lane), lane);
}

// dlogits = dkl · p (log p − log q − KL)
@compute @workgroup_size(WORKGROUP)
fn backward_reverse(
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
  let inverse = online_inverse(state.policy);
  let defined = is_comparable(state) && saved_kl[row] != INFINITE;
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = logits[start + i];
    var gradient = 0.0;
    if (defined && bits != MASKED) {
      let p = online_weight(state.policy, bits) * inverse;
      let difference = online_logprob(state.policy, bits) - online_logprob(state.reference, reference[start + i]);
      gradient = dkl[row] * p * (difference - bitcast<f32>(saved_kl[row]));
    }
    store(start + i, gradient);
  }
}

// dlogits = dkl · (p − q)
@compute @workgroup_size(WORKGROUP)
fn backward_forward(
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
  let scale = select(0.0, dkl[row], is_comparable(state));
  let to_p = online_inverse(state.policy);
  let to_q = online_inverse(state.reference);
  for (var i = share.first; i < share.end; i += TEAM) {
    let p = online_weight(state.policy, logits[start + i]) * to_p;
    let q = online_weight(state.reference, reference[start + i]) * to_q;
    store(start + i, scale * (p - q));
  }
}

fn both_rows(start: u32, lane: u32) -> KlState {
  let share = share_of(params.cols, lane);
  var policy = online_empty();
  var other = online_empty();
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var policy_part = online_empty();
    var other_part = online_empty();
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      online_push(&policy_part, logits[start + i], i);
      online_push(&other_part, reference[start + i], i);
    }
    policy = online_merge(policy, policy_part);
    other = online_merge(other, other_part);
  }
  return KlState(online_reduce(policy, lane), online_reduce(other, lane));
}

// False if one side is fully masked.
fn is_comparable(state: KlState) -> bool {
  return state.policy.sum != 0.0 && state.reference.sum != 0.0;
}

// a log(a / b) − a + b, for one entry.
fn term(a_state: Online, a_bits: u32, b_state: Online, b_bits: u32) -> f32 {
  let b = online_weight(b_state, b_bits) * online_inverse(b_state);
  if (a_bits == MASKED || b_bits == MASKED) {
    return b;
  }
  let a = online_weight(a_state, a_bits) * online_inverse(a_state);
  let d = online_logprob(a_state, a_bits) - online_logprob(b_state, b_bits);
  if (abs(d) < 0.25) {
    // e^−d − 1 + d by its series, which has no cancellation.
    return a * d * d * (0.5 - d * (1.0 / 6.0 - d * (1.0 / 24.0 - d * (1.0 / 120.0 - d * (1.0 / 720.0)))));
  }
  return a * (d - 1.0) + b;
}

fn write_row(row: u32, state: KlState, divergence: f32, outside: f32, lane: u32) {
  if (lane > 0u) {
    return;
  }
  states[row] = state;
  if (!is_comparable(state)) {
    kl[row] = 0u;
  } else if (outside > 0.0) {
    kl[row] = INFINITE;
  } else {
    kl[row] = bitcast<u32>(divergence);
  }
}

fn store(at: u32, gradient: f32) {
  if (params.accumulate == 1u) {
    dlogits[at] += gradient;
  } else {
    dlogits[at] = gradient;
  }
}
