// Theorem 1, row by row and in log-space: the policy that maximizes objective (1), π*(y) = π_ref(y) e^(f(y)/β) / Z, and Z =
// Σ π_ref(y) e^(f(y)/β). One workgroup per row.
//
// Everything is relative to the largest reward f₀ within the support: with x = (f − f₀) / β ≤ 0 and S = Σ π_ref (e^x − 1),
//   log Z = f₀ / β + log(1 + S),   max J = β log Z = f₀ + β log(1 + S),   log π* = log π_ref + x − log(1 + S).
// In terms of S, the logarithm is exact if β is large and Z is near 1, and β log Z tends to E_ref[f] as required.
// If most of the probability of the reference has low rewards, S is near −1, and the logarithm of Σ π_ref e^x is used
// instead.
// Masks (−∞): an answer masked in the reference or with reward −∞ has no share. A row without any other has log π* and log Z
// −∞.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"
#include "lib/exponentials.wgsl"

struct Params {
  rows: u32,
  cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols): the reference
@group(0) @binding(2) var<storage, read> rewards: array<u32>; // (rows, cols): f
@group(0) @binding(3) var<storage, read> beta: array<f32>; // (rows)
@group(0) @binding(4) var<storage, read_write> log_policy: array<u32>; // (rows, cols): log π*
@group(0) @binding(5) var<storage, read_write> log_partition: array<u32>; // (rows): log Z
@group(0) @binding(6) var<storage, read_write> optimum: array<u32>; // (rows): β log Z

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
  let reference = online_row(start, params.cols, lane);
  let highest = highest_reward(start, lane);
  let temperature = beta[row];

  var tilted = online_empty();
  var excess = 0.0;
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var part = online_empty();
    var sum = 0.0;
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      let bits = logits[start + i];
      online_push(&part, tilt(reference, start + i, highest, temperature), i);
      if (rewards[start + i] == MASKED) {
        sum -= online_weight(reference, bits);
      } else {
        sum += online_weight(reference, bits) * expm1((bitcast<f32>(rewards[start + i]) - highest) / temperature);
      }
    }
    tilted = online_merge(tilted, part);
    excess += sum;
  }
  tilted = online_reduce(tilted, lane);
  excess = reduce_sum(excess, lane) * online_inverse(reference);

  let is_empty = tilted.sum == 0.0;
  var log_sum = tilted.largest + online_log_sum(tilted);
  if ((bitcast<u32>(log_sum) & EXPONENT) != EXPONENT && excess > -0.5) {
    log_sum = log1p_unit(excess);
  }
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = tilt(reference, start + i, highest, temperature);
    log_policy[start + i] = select(bitcast<u32>(bitcast<f32>(bits) - log_sum), MASKED, bits == MASKED);
  }
  if (lane == 0u) {
    log_partition[row] = select(bitcast<u32>(highest / temperature + log_sum), MASKED, is_empty);
    optimum[row] = select(bitcast<u32>(highest + temperature * log_sum), MASKED, is_empty);
  }
}

// f₀. `tilt` handles rewards that are not numbers.
fn highest_reward(start: u32, lane: u32) -> f32 {
  let share = share_of(params.cols, lane);
  var highest = LOWEST;
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = rewards[start + i];
    if ((bits & EXPONENT) != EXPONENT && logits[start + i] != MASKED) {
      highest = max(highest, bitcast<f32>(bits));
    }
  }
  return reduce_max(highest, lane);
}

// log π_ref + x as bits; a NaN or +∞ on either side becomes a NaN of the whole row.
fn tilt(reference: Online, at: u32, highest: f32, temperature: f32) -> u32 {
  let bits = rewards[at];
  if (logits[at] == MASKED || bits == MASKED) {
    return MASKED;
  }
  if ((bits & EXPONENT) == EXPONENT) {
    return bits | QUIET_NAN;
  }
  return bitcast<u32>(online_logprob(reference, logits[at]) + (bitcast<f32>(bits) - highest) / temperature);
}
