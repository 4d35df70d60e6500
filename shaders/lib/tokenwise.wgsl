// Driver of losses on tokens in two passes, one workgroup per completion. `gather_sums` sums the formula's summands over
// each completion, so that ratios of whole completions can be computed; `forward` then calls the formula for every token
// and writes the derivative and a record. The order of every sum depends only on its completion.
//
// A loss file includes this one and adds
//   struct Options { beta: f32, … }                              its options, β the first
//   fn summand(token: Token, options: Options) -> vec4f          the terms that are summed over the completion
//   fn loss(token: Token, options: Options) -> TokenResult  loss and derivative of one token
// Columns that it reads (advantages, log-probabilities of the sampling policy) are storage buffers that it declares, from
// binding 8 on: indexed by `token.sequence` if there is one number per completion, by `token.row` if there is one per
// token.

#include "lib/dispatch.wgsl"
#include "lib/formula.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  records: u32, // completions
  scale: f32, // of the derivative: 1 / completions of the optimizer step
  weight: f32, // of this loss in a list of them
  mean_tokens: f32, // divisor of the sum over a completion; 0 for its own number of tokens
  adds: u32, // 1: add loss and derivative to those of the previous loss
  accumulate: u32, // 1: add the derivative to the existing one
  @align(16) options: Options,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logprobs: array<f32>; // (R): log π of each token
@group(0) @binding(2) var<storage, read> reference: array<f32>; // (R): log π_ref, or 0
@group(0) @binding(3) var<storage, read> offsets: array<u32>; // (records + 1): offset of each completion's tokens
@group(0) @binding(4) var<storage, read_write> records: array<TokenRecord>; // (records, 8)
@group(0) @binding(5) var<storage, read_write> dlogprobs: array<f32>; // (R)
@group(0) @binding(6) var<storage, read_write> sums: array<vec4f>; // (records)
@group(0) @binding(7) var<storage, read> saved_sums: array<vec4f>; // the same, after gather_sums

struct Token {
  logp: f32, // log π of this token
  reference: f32, // log π_ref
  tokens: f32, // of its completion
  sums: vec4f, // of the completion's summands; 0 while they are being summed
  row: u32,
  sequence: u32,
}

struct TokenResult {
  loss: f32,
  dlogp: f32, // derivative of the sum over the completion's tokens to this token's log π
}

struct TokenRecord {
  loss: f32, // sum over the tokens, divided
  tokens: f32,
  logp: f32, // log π of the completion
  first_note: f32, // means over the tokens
  second_note: f32,
  third_note: f32,
  fourth_note: f32,
  note_weight: f32, // weight of the notes in a mean over completions: number of tokens, or 1
}

// A formula's own values of a token, for metrics; it sets them before it returns.
var<private> notes: vec4f;

// The weight of the completion's notes in a mean over completions, equal for all of its tokens; a formula may set it too.
var<private> note_weight: f32;

// A thread's part of the sums in the record.
var<private> loss_part: f32;
var<private> logp_part: f32;
var<private> notes_part: vec4f;

@compute @workgroup_size(WORKGROUP)
fn gather_sums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = linear_group(group, groups);
  if (sequence >= params.records) {
    return;
  }
  var part = vec4f();
  for (var row = offsets[sequence] + lane; row < offsets[sequence + 1u]; row += WORKGROUP) {
    part += summand(token_of(row, sequence, vec4f()), params.options);
  }
  let sum = reduce_sum4(part, lane);
  if (lane == 0u) {
    sums[sequence] = sum;
  }
}

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = linear_group(group, groups);
  if (sequence >= params.records) {
    return;
  }
  for (var row = offsets[sequence] + lane; row < offsets[sequence + 1u]; row += WORKGROUP) {
    var slope = params.scale * evaluate_token(row, sequence);
    if (params.accumulate == 1u) {
      slope += dlogprobs[row];
    }
    dlogprobs[row] = slope;
  }
  write_record(sequence, lane);
}

// Computes only the records.
@compute @workgroup_size(WORKGROUP)
fn evaluate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = linear_group(group, groups);
  if (sequence >= params.records) {
    return;
  }
  for (var row = offsets[sequence] + lane; row < offsets[sequence + 1u]; row += WORKGROUP) {
    evaluate_token(row, sequence);
  }
  write_record(sequence, lane);
}

fn token_of(row: u32, sequence: u32, own_sums: vec4f) -> Token {
  let tokens = f32(offsets[sequence + 1u] - offsets[sequence]);
  return Token(logprobs[row], reference[row], tokens, own_sums, row, sequence);
}

// Adds the token to the record; returns its derivative, divided and weighted.
fn evaluate_token(row: u32, sequence: u32) -> f32 {
  let token = token_of(row, sequence, saved_sums[sequence]);
  var result = loss(token, params.options);
  // A NaN must reach the loss, although exp and min may turn it into a number.
  let sum = token.logp + token.reference;
  if (is_nan(sum)) {
    result = TokenResult(sum, sum);
  }
  let share = params.weight / divisor(token.tokens);
  loss_part += share * result.loss;
  logp_part += token.logp;
  notes_part += notes;
  return share * result.dlogp;
}

fn divisor(tokens: f32) -> f32 {
  return select(params.mean_tokens, tokens, params.mean_tokens == 0.0);
}

fn write_record(sequence: u32, lane: u32) {
  let loss = reduce_sum(loss_part, lane);
  let logp = reduce_sum(logp_part, lane);
  let tokens = f32(offsets[sequence + 1u] - offsets[sequence]);
  let means = reduce_sum4(notes_part, lane) / max(tokens, 1.0);
  if (lane > 0u) {
    return;
  }
  if (params.adds == 1u) {
    records[sequence].loss += loss;
    return;
  }
  records[sequence] = TokenRecord(loss, tokens, logp, means.x, means.y, means.z, means.w, note_weight);
}

fn reduce_sum4(part: vec4f, lane: u32) -> vec4f {
  return vec4f(
    reduce_sum(part.x, lane),
    reduce_sum(part.y, lane),
    reduce_sum(part.z, lane),
    reduce_sum(part.w, lane),
  );
}
