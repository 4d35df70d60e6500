// From logits to the next token of each sequence, in the order of transformers' `generate`: temperature, then top-k
// (tokens tied with the k-th all stay), then top-p (a token stays while the probability above it is below p; of tied
// tokens the later index stands above), then min-p (a token stays with at least this share of the likeliest one's
// probability). Then the first token at which the running sum of what is left passes a random
// number. Temperature 0 takes the likeliest token, of tied ones the first. Nothing is sorted: the edge of what stays is
// found by narrowing a range of ordered integers, five ways at a time, exact in the logits' bits.
//
// `sample_logprob` also writes the token's log-probability under the distribution that it was drawn from, 0 at temperature 0.
//
// A workgroup does a row, a thread of it a block of consecutive tokens. A sequence that has ended repeats its last token.
// A row with a NaN or without a finite sum gives INVALID.

#include "lib/dispatch.wgsl"
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
  sequences: u32,
  first_sequence: u32,
  seed: u32,
  temperature: f32,
  top_k: u32,
  top_p: f32,
  min_p: f32,
}

@group(0) @binding(0) var<uniform> params: Params; // top_k 0, top_p 1 and min_p 0 are off; first_row: of these logits, in places; stride: from row to row of them
@group(0) @binding(1) var<storage, read> logits: array<f32>; // (rows, stride)
@group(0) @binding(2) var<storage, read> places: array<vec4u>; // (live rows): prompt start, prompt end, own start, sequence
@group(0) @binding(3) var<storage, read> eos: array<u32>; // ids that end a sequence
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>; // (steps, sequences)
@group(0) @binding(5) var<storage, read_write> logprobs: array<f32>; // (steps, sequences)

const LOWEST: f32 = -3.4e38;
const INVALID: u32 = 0xffffffff;
const INFINITY_BITS: u32 = 0x7f800000;
const NARROWINGS: u32 = 14; // 5^14 > 2^32

// A thread's tokens: [first, end) of the row that begins at `row`, and the row's largest logit.
struct Block {
  row: u32,
  first: u32,
  end: u32,
  highest: f32,
}

// Unnormalized. The floor is 0 in f32 and takes in the −infinity of a mask.
fn weight_of(block: Block, x: f32) -> f32 {
  return exp(max((x - block.highest) / params.temperature, -200.0));
}

fn sum_each(value: vec4f, lane: u32) -> vec4f {
  return vec4f(
    reduce_sum(value.x, lane),
    reduce_sum(value.y, lane),
    reduce_sum(value.z, lane),
    reduce_sum(value.w, lane),
  );
}

// Going down from the largest logit, the place where the number, or the weight, of the tokens reaches a goal: the
// ordered integers from `low` up reach it, those from `high` up do not. It is narrow when the range holds one integer
// or one token.
struct Edge {
  low: u32,
  high: u32,
  above: f32, // number or weight of the tokens from `high` up
  number: f32, // of tokens in the range
}

// Number, and if needed weight, of the tokens above each of four limits.
struct Tally {
  number: vec4f,
  amount: vec4f,
}

fn add_token(tally: ptr<function, Tally>, block: Block, v: u32, limits: vec4u, high: u32, weighted: bool) {
  if (v >= block.end) {
    return;
  }
  let x = logits[block.row + v];
  let rank = ordered(x);
  if (rank >= limits.x && rank < high) {
    let passes = select(vec4f(), vec4f(1.0), vec4u(rank) >= limits);
    (*tally).number += passes;
    if (weighted) {
      (*tally).amount += passes * weight_of(block, x);
    }
  }
}

fn find_edge(block: Block, lane: u32, start: Edge, goal: f32, weighted: bool) -> Edge {
  var edge = start;
  for (var round = 0u; round < NARROWINGS; round++) {
    let width = edge.high - edge.low;
    let is_wide = width > 1u && edge.number > 1.0;
    let limits = edge.low + min(vec4u(1u, 2u, 3u, 4u) * ((width + 4u) / 5u), vec4u(max(width, 1u) - 1u));
    var tally = Tally();
    // Threads that are done stay in step for the sums.
    let end = select(block.first, block.end, is_wide);
    // Four tokens per iteration, to stay within the loop limit (src/gpu/loops.ts).
    for (var v = block.first; v < end; v += 4u) {
      add_token(&tally, block, v, limits, edge.high, weighted);
      add_token(&tally, block, v + 1u, limits, edge.high, weighted);
      add_token(&tally, block, v + 2u, limits, edge.high, weighted);
      add_token(&tally, block, v + 3u, limits, edge.high, weighted);
    }
    let number = sum_each(tally.number, lane);
    var amount = number;
    if (weighted) {
      amount = sum_each(tally.amount, lane);
    }
    amount += edge.above;
    if (!is_wide) {
      // Nothing to narrow.
    } else if (amount.w >= goal) {
      edge = Edge(limits.w, edge.high, edge.above, number.w);
    } else if (amount.z >= goal) {
      edge = Edge(limits.z, limits.w, amount.w, number.z - number.w);
    } else if (amount.y >= goal) {
      edge = Edge(limits.y, limits.z, amount.z, number.y - number.z);
    } else if (amount.x >= goal) {
      edge = Edge(limits.x, limits.y, amount.y, number.x - number.y);
    } else {
      edge = Edge(edge.low, limits.x, amount.x, edge.number - number.x);
    }
  }
  return edge;
}

// Tokens that stay: from `low` up, but for the thread's first `skip` ones of exactly `low`.
struct Kept {
  low: u32,
  skip: f32,
}

fn sum_kept(block: Block, kept: Kept) -> f32 {
  var sum = 0.0;
  var skip = kept.skip;
  for (var v = block.first; v < block.end; v++) {
    let x = logits[block.row + v];
    let rank = ordered(x);
    if (rank == kept.low && skip > 0.0) {
      skip -= 1.0;
    } else if (rank >= kept.low) {
      sum += weight_of(block, x);
    }
  }
  return sum;
}

fn count_of(block: Block, rank: u32) -> f32 {
  var count = 0.0;
  for (var v = block.first; v < block.end; v++) {
    count += select(0.0, 1.0, ordered(logits[block.row + v]) == rank);
  }
  return count;
}

fn drop_improbable(block: Block, kept: Kept) -> Kept {
  if (params.min_p <= 0.0) {
    return kept;
  }
  let low = ordered_from(block.highest, params.temperature * log(params.min_p));
  return Kept(max(low, kept.low), select(kept.skip, 0.0, low > kept.low));
}

fn filter_tokens(block: Block, lane: u32) -> Kept {
  var low = 0u;
  let whole = Edge(low, ordered(block.highest) + 1u, 0.0, f32(params.vocabulary));
  if (params.top_k > 0u) {
    low = find_edge(block, lane, whole, f32(params.top_k), false).low;
  }
  if (params.top_p >= 1.0) {
    return Kept(low, 0.0);
  }
  let goal = params.top_p * reduce_sum(sum_kept(block, Kept(low, 0.0)), lane);
  let edge = find_edge(block, lane, Edge(low, whole.high, 0.0, whole.number), goal, true);
  // Several tokens of one logit at the edge: as many as the goal needs, and at least one.
  let is_tied = edge.high - edge.low == 1u && edge.number > 1.0;
  let ties = running_sum(count_of(block, edge.low), lane);
  let needed = clamp(ceil((goal - edge.above) / weight_of(block, float_of(edge.low))), 1.0, ties.y);
  return Kept(edge.low, select(0.0, ties.y - needed - ties.x, is_tied));
}

fn last_token(sequence: u32) -> u32 {
  return tokens[(params.step - 1u) * params.sequences + sequence];
}

fn has_ended(sequence: u32) -> bool {
  if (params.step == 0u) {
    return false;
  }
  let last = last_token(sequence);
  var ended = last == INVALID;
  for (var i = 0u; i < arrayLength(&eos); i++) {
    ended = ended || last == eos[i];
  }
  return ended;
}

@compute @workgroup_size(WORKGROUP)
fn sample(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let choice = choose(linear_group(group, groups), lane);
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
  let choice = choose(linear_group(group, groups), lane);
  if (choice.is_mine) {
    tokens[choice.at] = choice.token;
    logprobs[choice.at] = choice.logprob;
  }
}

// What a row's threads have chosen; one of them writes it.
struct Choice {
  token: u32,
  logprob: f32,
  at: u32, // place of step and sequence
  is_mine: bool,
}

fn choose(row: u32, lane: u32) -> Choice {
  if (row >= params.rows) {
    return Choice(INVALID, 0.0, 0u, false);
  }
  let sequence = places[params.first_row + row].w;
  let ended = has_ended(sequence);
  let size = (params.vocabulary + WORKGROUP - 1u) / WORKGROUP;
  let first = min(lane * size, params.vocabulary);
  // An ended sequence has nothing to look at, but its threads stay in step.
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
    let goal = uniform_random(params.seed, params.first_sequence + sequence, params.step) * sums.y;
    let is_valid = !has_nan && sums.y > 0.0 && (bitcast<u32>(sums.y) & INFINITY_BITS) != INFINITY_BITS;
    if (is_valid) {
      is_chosen = sums.x <= goal && goal < sums.x + own;
    }
    if (is_valid && is_chosen) {
      token = token_at(block, kept, goal, sums.x);
      logprob = (logits[block.row + token] - block.highest) / params.temperature - log(sums.y);
    }
  }
  if (ended) {
    is_chosen = lane == 0u;
    token = last_token(sequence);
    logprob = 0.0;
  }
  return Choice(token, logprob, params.step * params.sequences + sequence, is_chosen);
}

// The first token of a block at which the running sum, `before` at its start, passes the goal.
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
