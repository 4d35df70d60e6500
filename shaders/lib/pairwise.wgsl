// Drives a pairwise objective: one thread a pair gathers what the pair's two sequences are worth, calls the formula
// and writes the derivative and a record. Sequence 2p is pair p's chosen completion, 2p + 1 its rejected one.
//
// An objective file includes this one and adds two things:
//   struct Params { pairs: u32, scale: f32, beta: f32, … }       its parameters, these three among them
//   fn objective(pair: Pair) -> PairResult                       the formula: loss and derivative of one pair
// The derivative is multiplied by `scale` (1 / pairs of the optimizer step); the recorded loss is not.

#include "lib/dispatch.wgsl"

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // (2 · pairs): log π of each completion
@group(0) @binding(2) var<storage, read> reference: array<f32>; // (2 · pairs): log π_ref
@group(0) @binding(3) var<storage, read> offsets: array<u32>; // (2 · pairs + 1): where each completion's tokens start
@group(0) @binding(4) var<storage, read_write> records: array<PairRecord>; // (pairs, 8)
@group(0) @binding(5) var<storage, read_write> dsums: array<f32>; // (2 · pairs)

const WORKGROUP: u32 = 64;

// Chosen before rejected: sums of log-probabilities under the policy and the reference, numbers of tokens.
struct Pair {
  chosen: f32,
  rejected: f32,
  chosen_reference: f32,
  rejected_reference: f32,
  chosen_tokens: f32,
  rejected_tokens: f32,
}

// Loss, d loss / d chosen, d loss / d rejected.
struct PairResult {
  loss: f32,
  dchosen: f32,
  drejected: f32,
}

struct PairRecord {
  loss: f32,
  chosen_reward: f32, // β r₊
  rejected_reward: f32, // β r₋
  margin: f32,
  accuracy: f32, // 1 where the chosen reward is larger; a tie is 0
  chosen_logp: f32,
  rejected_logp: f32,
  tokens: f32, // of both completions
}

// Sets the derivative.
@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let p = linear_group(group, groups) * WORKGROUP + lane;
  if (p < params.pairs) {
    let result = evaluate_pair(p);
    dsums[2u * p] = result.dchosen * params.scale;
    dsums[2u * p + 1u] = result.drejected * params.scale;
  }
}

// Adds to the derivative: a second objective on the same sums.
@compute @workgroup_size(WORKGROUP)
fn forward_add(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let p = linear_group(group, groups) * WORKGROUP + lane;
  if (p < params.pairs) {
    let result = evaluate_pair(p);
    dsums[2u * p] += result.dchosen * params.scale;
    dsums[2u * p + 1u] += result.drejected * params.scale;
  }
}

// Records only.
@compute @workgroup_size(WORKGROUP)
fn evaluate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let p = linear_group(group, groups) * WORKGROUP + lane;
  if (p < params.pairs) {
    evaluate_pair(p);
  }
}

fn evaluate_pair(p: u32) -> PairResult {
  let c = 2u * p;
  let r = c + 1u;
  let chosen_tokens = f32(offsets[r] - offsets[c]);
  let rejected_tokens = f32(offsets[r + 1u] - offsets[r]);
  let pair = Pair(sums[c], sums[r], reference[c], reference[r], chosen_tokens, rejected_tokens);
  var result = objective(pair);
  let chosen = params.beta * (pair.chosen - pair.chosen_reference);
  let rejected = params.beta * (pair.rejected - pair.rejected_reference);
  let accuracy = select(0.0, 1.0, chosen > rejected);
  let tokens = chosen_tokens + rejected_tokens;
  let margin = chosen - rejected;
  // A NaN must reach the loss, though exp and min may make a number of it.
  if ((bitcast<u32>(margin) & 0x7fffffffu) > 0x7f800000u) {
    result = PairResult(margin, margin, margin);
  }
  records[p] = PairRecord(result.loss, chosen, rejected, margin, accuracy, pair.chosen, pair.rejected, tokens);
  return result;
}

// What formulas are made of.

// Δ = r₊ − r₋, the margin before β.
fn log_ratio(pair: Pair) -> f32 {
  return (pair.chosen - pair.chosen_reference) - (pair.rejected - pair.rejected_reference);
}

// 1 / (1 + e^−z), without overflow at either end.
fn sigmoid(z: f32) -> f32 {
  let e = exp(-abs(z));
  return select(e, 1.0, z >= 0.0) / (1.0 + e);
}

// log σ(z) = min(z, 0) − log(1 + e^−|z|), without overflow, and accurate where the sigmoid is next to 1.
fn log_sigmoid(z: f32) -> f32 {
  return min(z, 0.0) - log1p_unit(exp(-abs(z)));
}

// log(1 + u) for u in [0, 1] as 2 artanh(u / (2 + u)), by its series: WGSL's log is imprecise near 1.
fn log1p_unit(u: f32) -> f32 {
  let s = u / (2.0 + u);
  let t = s * s;
  let tail = t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t * (1.0 / 15.0))));
  return 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + tail))));
}
