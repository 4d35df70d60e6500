// The tokens of a row that remain after top-k, top-p and min-p, found by narrowing a range of ordered integers. The
// including file defines the logits, the parameters and each thread's block of a row.

#include "lib/ordered.wgsl"
#include "lib/reduce.wgsl"
#include "lib/running-sum.wgsl"

const NARROWINGS: u32 = 14; // 5^14 > 2^32

fn sum_each(value: vec4f, lane: u32) -> vec4f {
  return vec4f(
    reduce_sum(value.x, lane),
    reduce_sum(value.y, lane),
    reduce_sum(value.z, lane),
    reduce_sum(value.w, lane),
  );
}

// Going down from the largest logit, the point where the number, or the total weight, of the tokens reaches a goal: the
// integers from `low` reach it, those from `high` do not. The range is narrow when it contains one integer or one token.
struct Edge {
  low: u32,
  high: u32,
  above: f32, // number or weight of the tokens from `high`
  number: f32, // number of tokens in the range
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
    // Threads that are done still take part in the barriers of the sums.
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

// The remaining tokens: from `low`, except for the thread's first `skip` tokens with exactly `low`.
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
  // If several tokens at the threshold have the same logit, as many remain as the goal needs, at least one.
  let is_tied = edge.high - edge.low == 1u && edge.number > 1.0;
  let ties = running_sum(count_of(block, edge.low), lane);
  let needed = clamp(ceil((goal - edge.above) / weight_of(block, float_of(edge.low))), 1.0, ties.y);
  return Kept(edge.low, select(0.0, ties.y - needed - ties.x, is_tied));
}
