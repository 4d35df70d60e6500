// Driver of losses on pairs: one thread per pair gathers the inputs for its two completions, calls the formula, and
// writes the derivative and a record. Sequence 2p is pair p's chosen completion, 2p + 1 its rejected one.
//
// A loss file includes this one and adds
//   struct Options { beta: f32, … }                               its options, β the first
//   fn loss(pair: Pair, options: Options) -> PairResult      loss and derivative of one pair

#include "lib/dispatch.wgsl"
#include "lib/completion-loss.wgsl"

@group(0) @binding(4) var<storage, read_write> records: array<PairRecord>; // (pairs, 13)
@group(0) @binding(6) var<storage, read> whole: array<f32>; // (S): log π with all tokens weighted equally; `sums`, except for LD-DPO

struct Pair {
  chosen: Completion,
  rejected: Completion,
  index: u32,
}

// Loss, and its derivative to log π of the chosen and of the rejected completion.
struct PairResult {
  loss: f32,
  dchosen: f32,
  drejected: f32,
}

struct PairRecord {
  loss: f32,
  chosen_reward: f32, // β r₊, unless the formula says otherwise
  rejected_reward: f32,
  margin: f32,
  accuracy: f32, // 1 if the chosen reward is larger; a tie is 0
  chosen_logp: f32,
  rejected_logp: f32,
  chosen_tokens: f32,
  rejected_tokens: f32,
  nll: f32, // of the chosen completion, per token
  weight: f32, // of the pair
  first_note: f32,
  second_note: f32,
}

// Rewards of the two completions, for metrics: β r, unless a formula sets others.
var<private> rewards: vec2f;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let p = linear_group(group, groups) * WORKGROUP + lane;
  if (p >= params.records) {
    return;
  }
  let result = evaluate_pair(p);
  var slopes = vec2f(result.dchosen, result.drejected) * params.scale;
  if (params.accumulate == 1u) {
    slopes += vec2f(dsums[2u * p], dsums[2u * p + 1u]);
  }
  dsums[2u * p] = slopes.x;
  dsums[2u * p + 1u] = slopes.y;
}

// Computes only the records.
@compute @workgroup_size(WORKGROUP)
fn evaluate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let p = linear_group(group, groups) * WORKGROUP + lane;
  if (p < params.records) {
    evaluate_pair(p);
  }
}

fn whole_logp(sequence: u32) -> f32 {
  return whole[sequence];
}

fn pair_of(p: u32) -> Pair {
  return Pair(completion_of(2u * p), completion_of(2u * p + 1u), p);
}

// Writes the record; the result is weighted.
fn evaluate_pair(p: u32) -> PairResult {
  let pair = pair_of(p);
  let beta = params.options.beta;
  rewards = vec2f(beta * pair.chosen.ratio, beta * pair.rejected.ratio);
  var result = loss(pair, params.options);
  let margin = rewards.x - rewards.y;
  // A NaN must reach the loss, although exp and min may turn it into a number.
  if (is_nan(margin)) {
    result = PairResult(margin, margin, margin);
  }
  let weight = params.weight;
  result = PairResult(weight * result.loss, weight * result.dchosen, weight * result.drejected);
  if (params.adds == 1u) {
    records[p].loss += result.loss;
    return result;
  }
  records[p] = PairRecord(
    result.loss,
    rewards.x,
    rewards.y,
    margin,
    select(0.0, 1.0, margin > 0.0),
    pair.chosen.logp,
    pair.rejected.logp,
    pair.chosen.tokens,
    pair.rejected.tokens,
    -pair.chosen.whole / pair.chosen.tokens,
    1.0,
    notes.x,
    notes.y,
  );
  return result;
}

// The result of a loss that is a function of the two scores.
fn of_scores(pair: Pair, loss: f32, dchosen: f32, drejected: f32) -> PairResult {
  return PairResult(loss, by_slope(dchosen, pair.chosen), by_slope(drejected, pair.rejected));
}

// If a divergence's exponent was clamped, the derivative is 0 for any loss.
fn by_slope(derivative: f32, completion: Completion) -> f32 {
  return select(derivative * completion.slope, 0.0, completion.slope == 0.0);
}

// The result of a loss that is a function of their difference only.
fn of_margin(pair: Pair, loss: f32, slope: f32) -> PairResult {
  return of_scores(pair, loss, slope, -slope);
}

// Δ = s₊ − s₋, before β.
fn score_margin(pair: Pair) -> f32 {
  return pair.chosen.score - pair.rejected.score;
}
