// Samples the next token of each sequence from its logits, in the order of transformers' `generate`: temperature, then
// top-k (all tokens tied with the k-th stay), then top-p (a token stays if the total probability of more likely tokens is
// below p; of tied tokens the one with the larger index counts as more likely), then min-p (a token stays if it has at
// least this fraction of the largest probability). Then the first token whose cumulative probability exceeds a random
// number is chosen. Temperature 0 takes the most likely token, of tied ones the first. Nothing is sorted: the threshold is
// found by narrowing a range of ordered integers, five ways at a time, exact in the logits' bits.
//
// `sample_logprob` also writes the token's log-probability under the sampling distribution, 0 at temperature 0.
// `sample_logprobs` also writes the one under the model at temperature 1, if the logits are the model's own.
//
// One workgroup per row; each thread processes a block of consecutive tokens. A finished sequence repeats its last token. A
// row with a NaN or without a finite sum gives INVALID.

#include "lib/dispatch.wgsl"
#include "lib/ended.wgsl"
#include "lib/kept-tokens.wgsl"
#include "lib/ordered.wgsl"
#include "lib/random.wgsl"
#include "lib/reduce.wgsl"
#include "lib/running-sum.wgsl"

struct Params {
  rows: u32,
  first_row: u32,
  vocabulary: u32,
  stride: u32,
  step: u32,
  slots: u32,
  ring: u32,
  seed: u32,
  temperature: f32,
  top_k: u32,
  top_p: f32,
  min_p: f32,
}

@group(0) @binding(0) var<uniform> params: Params; // top_k 0, top_p 1 and min_p 0 disable them; first_row: their first row in places; stride: their row stride
@group(0) @binding(1) var<storage, read> logits: array<f32>; // (rows, stride)
@group(0) @binding(2) var<storage, read> places: array<Place>; // (live rows)
@group(0) @binding(3) var<storage, read> eos: array<u32>; // ids that end a sequence
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>; // (ring, slots)
@group(0) @binding(5) var<storage, read_write> logprobs: array<f32>; // (ring, slots)
@group(0) @binding(6) var<storage, read_write> model_logprobs: array<f32>; // (ring, slots)

const LOWEST: f32 = -3.4e38;
const INFINITY_BITS: u32 = 0x7f800000;
const BLOCK: u32 = 256; // terms that are added before the partial sum is merged, so that rounding errors grow with the block, not with the row

// A thread's tokens: [first, end) of the row that begins at `row`, and the row's largest logit.
struct Block {
  row: u32,
  first: u32,
  end: u32,
  highest: f32,
}

// Unnormalized. The lower bound of x gives 0 in f32 and includes the −∞ of a mask.
fn weight_of(block: Block, x: f32) -> f32 {
  return exp(max((x - block.highest) / params.temperature, -200.0));
}

@compute @workgroup_size(WORKGROUP)
fn sample(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let choice = choose(linear_group(group, groups), lane, false);
  if (choice.is_mine) {
    tokens[choice.at] = choice.token;
  }
}

@compute @workgroup_size(WORKGROUP)
fn sample_logprob(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let choice = choose(linear_group(group, groups), lane, false);
  if (choice.is_mine) {
    tokens[choice.at] = choice.token;
    logprobs[choice.at] = choice.logprob;
  }
}

@compute @workgroup_size(WORKGROUP)
fn sample_logprobs(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let choice = choose(linear_group(group, groups), lane, true);
  if (choice.is_mine) {
    tokens[choice.at] = choice.token;
    logprobs[choice.at] = choice.logprob;
    model_logprobs[choice.at] = choice.model_logprob;
  }
}

// The choice of a row's threads; one of them writes it.
struct Choice {
  token: u32,
  logprob: f32,
  model_logprob: f32,
  at: u32, // index of step and slot
  is_mine: bool,
}

fn own_weight(block: Block, v: u32) -> f32 {
  if (v >= block.end) {
    return 0.0;
  }
  return exp(max(logits[block.row + v] - block.highest, -200.0));
}

// The thread's part of the normalizer of the model's own probabilities.
fn sum_own(block: Block) -> f32 {
  var sum = 0.0;
  for (var start = block.first; start < block.end; start += BLOCK) {
    var part = 0.0;
    for (var v = start; v < min(start + BLOCK, block.end); v += 4u) {
      part += (own_weight(block, v) + own_weight(block, v + 1u)) + (own_weight(block, v + 2u) + own_weight(block, v + 3u));
    }
    sum += part;
  }
  return sum;
}

fn choose(row: u32, lane: u32, of_model: bool) -> Choice {
  if (row >= params.rows) {
    return Choice(INVALID, 0.0, 0.0, 0u, false);
  }
  let place = places[params.first_row + row];
  let ended = has_ended(place);
  let size = (params.vocabulary + WORKGROUP - 1u) / WORKGROUP;
  let first = min(lane * size, params.vocabulary);
  // A finished sequence has no tokens to process, but its threads take part in barriers.
  let end = select(min(first + size, params.vocabulary), first, ended);
  var block = Block(row * params.stride, first, end, LOWEST);

  var likeliest = first;
  var largest_bits = 0u;
  for (var v = block.first; v < block.end; v++) {
    let x = logits[block.row + v];
    largest_bits = max(largest_bits, bitcast<u32>(x) & 0x7fffffffu);
    if (x > block.highest) {
      block.highest = x;
      likeliest = v;
    }
  }
  let mine = block.highest;
  block.highest = reduce_max(mine, lane);
  var log_sum = 0.0;
  if (of_model) {
    log_sum = log(reduce_sum(sum_own(block), lane));
  }
  let has_nan = reduce_max(select(0.0, 1.0, largest_bits > INFINITY_BITS), lane) > 0.0;

  var token = INVALID;
  var logprob = 0.0;
  var is_chosen = lane == 0u;
  if (params.temperature == 0.0) {
    let index = reduce_max(select(LOWEST, -f32(likeliest), mine == block.highest), lane);
    if (!has_nan && block.highest > LOWEST) {
      token = u32(-index);
    }
  } else {
    let kept = drop_improbable(block, filter_tokens(block, lane));
    let own = sum_kept(block, kept);
    let sums = running_sum(own, lane);
    let goal = uniform_random(params.seed, place.sequence, params.step - place.start) * sums.y;
    let is_valid = !has_nan && sums.y > 0.0 && (bitcast<u32>(sums.y) & INFINITY_BITS) != INFINITY_BITS;
    if (is_valid) {
      is_chosen = sums.x <= goal && goal < sums.x + own;
    }
    if (is_valid && is_chosen) {
      token = token_at(block, kept, goal, sums.x);
      logprob = (logits[block.row + token] - block.highest) / params.temperature - log(sums.y);
    }
  }
  var model_logprob = 0.0;
  if (ended) {
    is_chosen = lane == 0u;
    token = input_token(place);
    logprob = 0.0;
  } else if (of_model && token < params.vocabulary) {
    model_logprob = logits[block.row + token] - block.highest - log_sum;
  }
  return Choice(token, logprob, model_logprob, chosen_at(place, params.step), is_chosen);
}

// The first token of a block at which the cumulative sum, which starts at `before`, exceeds the goal.
fn token_at(block: Block, kept: Kept, goal: f32, before: f32) -> u32 {
  var sum = 0.0;
  var skip = kept.skip;
  for (var v = block.first; v < block.end; v++) {
    let x = logits[block.row + v];
    let rank = ordered(x);
    if (rank == kept.low && skip > 0.0) {
      skip -= 1.0;
    } else if (rank >= kept.low) {
      sum += weight_of(block, x);
      if (before + sum > goal) {
        return v;
      }
    }
  }
  return block.first;
}
