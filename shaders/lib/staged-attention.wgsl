// The tile operations of a workgroup of attention-workgroup.wgsl: which tiles overlap, scores of TILE queries and TILE keys
// from pieces staged in workgroup memory, and sums of staged rows weighted by a tile. A thread has a block of 4 × 4 scores,
// and of the sums every eighth vector of four rows.

#include "lib/attention.wgsl"
#include "lib/dispatch.wgsl"

const CHUNKS: u32 = 1; // min(4, ceil(HEAD_VECTORS / SIDE)): blocks of sums that a thread holds
const PARTS: u32 = 1; // ceil(HEAD_VECTORS / 32): groups that share a head
const SIDE = 8u; // blocks along a tile
const TILE = 4u * SIDE;
const THREADS = SIDE * SIDE;
const ANY = 0xffffffffu; // no origin in particular
const DEEP = 4u; // vectors of a head that scores stage at a time

// Blocks column by column: (4, DEEP, SIDE) of either factor, (4, SIDE, SIDE) of the weights, then (TILE, SIDE) vectors.
var<workgroup> left_piece: array<vec4f, 4u * DEEP * SIDE>;
var<workgroup> right_piece: array<vec4f, 4u * DEEP * SIDE>;
var<workgroup> weight_tile: array<vec4f, 4u * SIDE * SIDE>;
var<workgroup> rows_piece: array<vec4f, TILE * SIDE>;
var<workgroup> block_highest: array<vec4f, THREADS>;

// The part of a group: its first token, the head and its first vector.
struct Place {
  first_token: u32,
  head: u32,
  first: u32,
}

fn place_of(group: vec3u, groups: vec3u, heads: u32) -> Place {
  let id = linear_group(group, groups);
  return Place(id / PARTS / heads * TILE, id / PARTS % heads, id % PARTS * 4u * SIDE);
}

// Tokens past the last repeat the last one.
fn rows_of(first: u32) -> vec4u {
  return min(first + FOUR, vec4u(params.tokens - 1u));
}

// The start of the queries' prefixes, or of their segments.
fn origins(tokens: vec4u, pass_index: u32) -> vec4u {
  let s0 = spans[tokens.x];
  let s1 = spans[tokens.y];
  let s2 = spans[tokens.z];
  let s3 = spans[tokens.w];
  return select(vec4u(s0.z, s1.z, s2.z, s3.z), vec4u(s0.x, s1.x, s2.x, s3.x), pass_index == 0u);
}

// The keys that queries attend to in a pass, excluding those of ranges with another origin.
fn seen_from(tokens: vec4u, pass_index: u32, origin: u32) -> Ranges {
  var seen = seen_keys(tokens, pass_index);
  seen.ends = select(vec4u(), seen.ends, (origins(tokens, pass_index) == vec4u(origin)) | vec4<bool>(origin == ANY));
  return seen;
}

// The first origin, at least `least`, of the ranges that the queries of a tile attend to in a pass, and the end of the
// ranges with that origin, within the range of this dispatch. Tiles of keys begin at origins, so that the result of a query
// does not depend on the rest of the batch.
fn next_origin(first_query: u32, pass_index: u32, least: u32) -> vec2u {
  var next = vec2u(ANY, 0u);
  for (var b = 0u; b < TILE; b++) {
    let token = min(first_query + b, params.tokens - 1u);
    let span = spans[token];
    let range = select(vec2u(span.z, token + 1u), span.xy, pass_index == 0u);
    if (range.x < range.y && range.x >= least && range.x <= next.x) {
      next = vec2u(range.x, select(range.y, max(range.y, next.y), range.x == next.x));
    }
  }
  if (PIECEWISE) {
    next.y = min(next.y, params.stop);
  }
  return next;
}

// Whether a query of the tile attends to a key of the tile.
fn meets(first_query: u32, first_key: u32, pass_index: u32, origin: u32) -> bool {
  var found = false;
  for (var b = 0u; b < SIDE; b++) {
    let seen = seen_from(rows_of(first_query + 4u * b), pass_index, origin);
    let from_tile = max(seen.starts, vec4u(first_key));
    found |= any(from_tile < min(seen.ends, vec4u(first_key + TILE)));
  }
  return found;
}

fn put_left(x: u32, q: u32, block: mat4x4f) {
  const STEP = DEEP * SIDE;
  let at = q * SIDE + x;
  left_piece[at] = block[0];
  left_piece[at + STEP] = block[1];
  left_piece[at + 2u * STEP] = block[2];
  left_piece[at + 3u * STEP] = block[3];
}

fn put_right(x: u32, q: u32, block: mat4x4f) {
  const STEP = DEEP * SIDE;
  let at = q * SIDE + x;
  let turned = transpose(block);
  right_piece[at] = turned[0];
  right_piece[at + STEP] = turned[1];
  right_piece[at + 2u * STEP] = turned[2];
  right_piece[at + 3u * STEP] = turned[3];
}

fn add_pieces(sum: mat4x4f, lane: u32) -> mat4x4f {
  const STEP = DEEP * SIDE;
  var result = sum;
  for (var q = 0u; q < DEEP; q++) {
    let l = q * SIDE + lane / SIDE;
    let r = q * SIDE + lane % SIDE;
    let left = mat4x4f(left_piece[l], left_piece[l + STEP], left_piece[l + 2u * STEP], left_piece[l + 3u * STEP]);
    let right = mat4x4f(right_piece[r], right_piece[r + STEP], right_piece[r + 2u * STEP], right_piece[r + 3u * STEP]);
    result += right * left;
  }
  return result;
}

// query · key: each column of a block belongs to a query, with four keys along it.
fn query_key(first_query: u32, head: u32, first_key: u32, kv_head: u32, lane: u32) -> mat4x4f {
  var sum = mat4x4f();
  let x = lane % (DEEP * SIDE) / DEEP;
  let q = lane % DEEP;
  for (var first = 0u; first < HEAD_VECTORS; first += DEEP) {
    let vector = min(first + q, HEAD_VECTORS - 1u);
    if (lane < DEEP * SIDE) {
      let at = query_at(rows_of(first_query + 4u * x), head) + vector;
      let inside = f32(first + q < HEAD_VECTORS);
      put_left(x, q, inside * mat4x4f(query[at.x], query[at.y], query[at.z], query[at.w]));
    } else {
      let at = key_at(rows_of(first_key + 4u * x), kv_head) + vector;
      put_right(x, q, mat4x4f(key[at.x], key[at.y], key[at.z], key[at.w]));
    }
    workgroupBarrier();
    sum = add_pieces(sum, lane);
    workgroupBarrier();
  }
  return sum;
}

// dy · value, in the same way.
fn dy_value(first_query: u32, head: u32, first_key: u32, kv_head: u32, lane: u32) -> mat4x4f {
  var sum = mat4x4f();
  let x = lane % (DEEP * SIDE) / DEEP;
  let q = lane % DEEP;
  for (var first = 0u; first < HEAD_VECTORS; first += DEEP) {
    let vector = min(first + q, HEAD_VECTORS - 1u);
    if (lane < DEEP * SIDE) {
      let at = query_at(rows_of(first_query + 4u * x), head) + vector;
      let inside = f32(first + q < HEAD_VECTORS);
      put_left(x, q, inside * mat4x4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]));
    } else {
      let at = key_at(rows_of(first_key + 4u * x), kv_head) + vector;
      put_right(x, q, mat4x4f(value[at.x], value[at.y], value[at.z], value[at.w]));
    }
    workgroupBarrier();
    sum = add_pieces(sum, lane);
    workgroupBarrier();
  }
  return sum;
}

// Stores weights of four rows, as columns, for four of the summed tokens.
fn put_weights(row_block: u32, column_block: u32, block: mat4x4f) {
  const STEP = SIDE * SIDE;
  let at = column_block * SIDE + row_block;
  weight_tile[at] = block[0];
  weight_tile[at + STEP] = block[1];
  weight_tile[at + 2u * STEP] = block[2];
  weight_tile[at + 3u * STEP] = block[3];
}

fn weights_of(row_block: u32, column_block: u32) -> mat4x4f {
  const STEP = SIDE * SIDE;
  let at = column_block * SIDE + row_block;
  return mat4x4f(weight_tile[at], weight_tile[at + STEP], weight_tile[at + 2u * STEP], weight_tile[at + 3u * STEP]);
}

// One chunk of a sum of weighted rows, from rows_piece.
fn add_rows(sum: mat4x4f, lane: u32) -> mat4x4f {
  workgroupBarrier();
  var result = sum;
  for (var b = 0u; b < SIDE; b++) {
    let at = 4u * b * SIDE + lane % SIDE;
    let rows = mat4x4f(
      rows_piece[at],
      rows_piece[at + SIDE],
      rows_piece[at + 2u * SIDE],
      rows_piece[at + 3u * SIDE],
    );
    result += rows * weights_of(lane / SIDE, b);
  }
  workgroupBarrier();
  return result;
}

// The token and vector that a thread copies to index e of rows_piece.
fn copied(first_token: u32, first: u32, e: u32) -> vec2u {
  return vec2u(min(first_token + e / SIDE, params.tokens - 1u), min(first + e % SIDE, HEAD_VECTORS - 1u));
}

fn stage_keys(first_token: u32, head: u32, first: u32, lane: u32) {
  for (var e = lane; e < TILE * SIDE; e += THREADS) {
    let from_key = copied(first_token, first, e);
    rows_piece[e] = key[(from_key.x * params.kv_heads + head) * HEAD_VECTORS + from_key.y];
  }
}

fn stage_values(first_token: u32, head: u32, first: u32, lane: u32) {
  for (var e = lane; e < TILE * SIDE; e += THREADS) {
    let from_value = copied(first_token, first, e);
    rows_piece[e] = value[(from_value.x * params.kv_heads + head) * HEAD_VECTORS + from_value.y];
  }
}

fn stage_queries(first_token: u32, head: u32, first: u32, lane: u32) {
  for (var e = lane; e < TILE * SIDE; e += THREADS) {
    let from_query = copied(first_token, first, e);
    rows_piece[e] = query[(from_query.x * params.heads + head) * HEAD_VECTORS + from_query.y];
  }
}

fn stage_dy(first_token: u32, head: u32, first: u32, lane: u32) {
  for (var e = lane; e < TILE * SIDE; e += THREADS) {
    let from_dy = copied(first_token, first, e);
    rows_piece[e] = dy[(from_dy.x * params.heads + head) * HEAD_VECTORS + from_dy.y];
  }
}

// Multiplies each column of a block by a factor.
fn by_column(block: mat4x4f, factors: vec4f) -> mat4x4f {
  return mat4x4f(block[0] * factors.x, block[1] * factors.y, block[2] * factors.z, block[3] * factors.w);
}

// Which of four keys each query of a thread attends to, one column per query: 1 or 0.
fn sight(seen: Ranges, keys: vec4u) -> mat4x4f {
  return mat4x4f(
    vec4f((vec4u(seen.starts.x) <= keys) & (keys < vec4u(seen.ends.x))),
    vec4f((vec4u(seen.starts.y) <= keys) & (keys < vec4u(seen.ends.y))),
    vec4f((vec4u(seen.starts.z) <= keys) & (keys < vec4u(seen.ends.z))),
    vec4f((vec4u(seen.starts.w) <= keys) & (keys < vec4u(seen.ends.w))),
  );
}

fn seen_only(block: mat4x4f, seen: mat4x4f, otherwise: f32) -> mat4x4f {
  let instead = vec4f(otherwise);
  return mat4x4f(
    select(instead, block[0], seen[0] > vec4f()),
    select(instead, block[1], seen[1] > vec4f()),
    select(instead, block[2], seen[2] > vec4f()),
    select(instead, block[3], seen[3] > vec4f()),
  );
}

fn exponentials(block: mat4x4f, less: vec4f) -> mat4x4f {
  return mat4x4f(exp(block[0] - less.x), exp(block[1] - less.y), exp(block[2] - less.z), exp(block[3] - less.w));
}

fn largest(v: vec4f) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
}

fn block_scores(products: mat4x4f) -> mat4x4f {
  return mat4x4f(scores_of(products[0]), scores_of(products[1]), scores_of(products[2]), scores_of(products[3]));
}

// Weights p = exp(score − log-sum-exp) if the query attends to the key, else 0.
fn probabilities(scores: mat4x4f, log_sums: vec4f, visible: mat4x4f) -> mat4x4f {
  return seen_only(exponentials(scores, log_sums), visible, 0.0);
}

// d score / d product · p · (dp − delta)
fn score_gradients(scores: mat4x4f, p: mat4x4f, dp: mat4x4f, deltas: vec4f) -> mat4x4f {
  return mat4x4f(
    p[0] * (dp[0] - deltas.x) * score_slopes(scores[0]),
    p[1] * (dp[1] - deltas.y) * score_slopes(scores[1]),
    p[2] * (dp[2] - deltas.z) * score_slopes(scores[2]),
    p[3] * (dp[3] - deltas.w) * score_slopes(scores[3]),
  );
}

// Log-sum-exps of four queries as one column, deltas as the other.
fn stats_of(tokens: vec4u, head: u32) -> mat2x4f {
  let at = tokens * params.heads + head;
  return transpose(mat4x2f(row_stats[at.x], row_stats[at.y], row_stats[at.z], row_stats[at.w]));
}
