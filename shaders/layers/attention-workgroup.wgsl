// The attention of attention.wgsl by workgroups: a group takes TILE queries of a head and TILE keys at a time. Both are
// staged in workgroup memory, a score is computed once for all coordinates of a head, and tiles that no span covers are
// passed over. A thread has a block of 4 × 4 of the scores, and of the sums every eighth vector of four rows; a head wider
// than 128 is summed in parts by several groups. Bits of a row depend on where the tiles begin.

#include "lib/attention.wgsl"
#include "lib/dispatch.wgsl"

const CHUNKS: u32 = 1; // min(4, ceil(HEAD_VECTORS / SIDE)): blocks of sums that a thread holds
const PARTS: u32 = 1; // ceil(HEAD_VECTORS / 32): groups that share a head
const SIDE = 8u; // blocks along a tile
const TILE = 4u * SIDE;
const THREADS = SIDE * SIDE;
const DEEP = 4u; // vectors of a head that scores stage at a time

// Blocks column by column: (4, DEEP, SIDE) of either factor, (4, SIDE, SIDE) of the weights, then (TILE, SIDE) vectors.
var<workgroup> left_piece: array<vec4f, 4u * DEEP * SIDE>;
var<workgroup> right_piece: array<vec4f, 4u * DEEP * SIDE>;
var<workgroup> weight_tile: array<vec4f, 4u * SIDE * SIDE>;
var<workgroup> rows_piece: array<vec4f, TILE * SIDE>;
var<workgroup> block_highest: array<vec4f, THREADS>;

// What a group owns: the first of its tokens, the head and the first of its vectors.
struct Place {
  first_token: u32,
  head: u32,
  first: u32,
}

fn place_of(group: vec3u, groups: vec3u, heads: u32) -> Place {
  let id = linear_group(group, groups);
  return Place(id / PARTS / heads * TILE, id / PARTS % heads, id % PARTS * 4u * SIDE);
}

// Tokens past the last are the last again.
fn rows_of(first: u32) -> vec4u {
  return min(first + FOUR, vec4u(params.tokens - 1u));
}

// The least range around what the queries of a tile see in a pass.
fn seen_by_tile(first_query: u32, pass_index: u32) -> vec2u {
  var all = vec2u(0xffffffffu, 0u);
  for (var b = 0u; b < SIDE; b++) {
    let seen = seen_keys(rows_of(first_query + 4u * b), pass_index);
    all = vec2u(min(all.x, seen.first), max(all.y, seen.end));
  }
  return all;
}

// Whether a query of the tile sees a key of the tile.
fn meets(first_query: u32, first_key: u32, pass_index: u32) -> bool {
  var found = false;
  for (var b = 0u; b < SIDE; b++) {
    let seen = seen_keys(rows_of(first_query + 4u * b), pass_index);
    let from_tile = max(seen.starts, vec4u(first_key));
    found |= any(from_tile < min(seen.ends, vec4u(first_key + TILE)));
  }
  return found;
}

fn put_left(x: u32, q: u32, block: mat4x4f) {
  for (var j = 0u; j < 4u; j++) {
    left_piece[(j * DEEP + q) * SIDE + x] = block[j];
  }
}

fn put_right(x: u32, q: u32, block: mat4x4f) {
  let turned = transpose(block);
  for (var j = 0u; j < 4u; j++) {
    right_piece[(j * DEEP + q) * SIDE + x] = turned[j];
  }
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

// query · key: a block has a query as a column, four keys along it.
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

// Weights of four rows, in columns, for four of the tokens that are summed over.
fn put_weights(row_block: u32, column_block: u32, block: mat4x4f) {
  for (var j = 0u; j < 4u; j++) {
    weight_tile[(j * SIDE + column_block) * SIDE + row_block] = block[j];
  }
}

fn weights_of(row_block: u32, column_block: u32) -> mat4x4f {
  const STEP = SIDE * SIDE;
  let at = column_block * SIDE + row_block;
  return mat4x4f(weight_tile[at], weight_tile[at + STEP], weight_tile[at + 2u * STEP], weight_tile[at + 3u * STEP]);
}

// One chunk of a sum of weighted rows: those in rows_piece.
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

// Which token and vector a thread copies to place e of rows_piece.
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

// Columns of a block times one factor each.
fn by_column(block: mat4x4f, factors: vec4f) -> mat4x4f {
  return mat4x4f(block[0] * factors.x, block[1] * factors.y, block[2] * factors.z, block[3] * factors.w);
}

// Which of four keys each query of a thread sees, one column a query: 1 or 0.
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

@compute @workgroup_size(THREADS)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group, groups, params.heads);
  if (place.first_token >= params.tokens) {
    return;
  }
  let kv_head = place.head / (params.heads / params.kv_heads);
  let mine = place.first_token + 4u * (lane / SIDE);
  var highest = vec4f(LOWEST);
  var total = vec4f();
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    let all = seen_by_tile(place.first_token, pass_index);
    let own = seen_keys(rows_of(mine), pass_index);
    for (var start = all.x / TILE * TILE; start < all.y; start += TILE) {
      if (!meets(place.first_token, start, pass_index)) {
        continue;
      }
      let products = query_key(place.first_token, place.head, start, kv_head, lane);
      let visible = sight(own, start + 4u * (lane % SIDE) + FOUR);
      let scores = seen_only(params.scale * products, visible, LOWEST);
      block_highest[lane] = vec4f(largest(scores[0]), largest(scores[1]), largest(scores[2]), largest(scores[3]));
      workgroupBarrier();
      var above = highest;
      for (var b = 0u; b < SIDE; b++) {
        above = max(above, block_highest[lane / SIDE * SIDE + b]);
      }
      put_weights(lane / SIDE, lane % SIDE, seen_only(exponentials(scores, above), visible, 0.0));
      workgroupBarrier();
      let shrink = exp(highest - above);
      highest = above;
      total *= shrink;
      for (var b = 0u; b < SIDE; b++) {
        total += vec4f(1.0) * weights_of(lane / SIDE, b);
      }
      stage_values(start, kv_head, place.first, lane);
      sum0 = add_rows(by_column(sum0, shrink), lane);
      if (CHUNKS > 1u) {
        stage_values(start, kv_head, place.first + SIDE, lane);
        sum1 = add_rows(by_column(sum1, shrink), lane);
      }
      if (CHUNKS > 2u) {
        stage_values(start, kv_head, place.first + 2u * SIDE, lane);
        sum2 = add_rows(by_column(sum2, shrink), lane);
      }
      if (CHUNKS > 3u) {
        stage_values(start, kv_head, place.first + 3u * SIDE, lane);
        sum3 = add_rows(by_column(sum3, shrink), lane);
      }
    }
  }
  let logs = highest + log(total);
  let blocks = array<mat4x4f, 4>(sum0, sum1, sum2, sum3);
  for (var j = 0u; j < 4u && mine + j < params.tokens; j++) {
    let row = (mine + j) * params.heads + place.head;
    for (var c = 0u; c < CHUNKS; c++) {
      let vector = place.first + SIDE * c + lane % SIDE;
      if (vector < HEAD_VECTORS) {
        y[row * HEAD_VECTORS + vector] = blocks[c][j] / total[j];
      }
    }
    if (place.first == 0u && lane % SIDE == 0u) {
      lse[row] = logs[j];
    }
  }
}

// Weights p = exp(scale · query · key − log-sum-exp) where the query sees the key, else 0.
fn probabilities(products: mat4x4f, log_sums: vec4f, visible: mat4x4f) -> mat4x4f {
  return seen_only(exponentials(params.scale * products, log_sums), visible, 0.0);
}

// scale · p · (dp − delta)
fn score_gradients(p: mat4x4f, dp: mat4x4f, deltas: vec4f) -> mat4x4f {
  return params.scale * mat4x4f(
    p[0] * (dp[0] - deltas.x),
    p[1] * (dp[1] - deltas.y),
    p[2] * (dp[2] - deltas.z),
    p[3] * (dp[3] - deltas.w),
  );
}

// Log-sum-exps of four queries as one column, deltas as the other.
fn stats_of(tokens: vec4u, head: u32) -> mat2x4f {
  let at = tokens * params.heads + head;
  return transpose(mat4x2f(row_stats[at.x], row_stats[at.y], row_stats[at.z], row_stats[at.w]));
}

@compute @workgroup_size(THREADS)
fn backward_query(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group, groups, params.heads);
  if (place.first_token >= params.tokens) {
    return;
  }
  let kv_head = place.head / (params.heads / params.kv_heads);
  let mine = place.first_token + 4u * (lane / SIDE);
  let stats = stats_of(rows_of(mine), place.head);
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    let all = seen_by_tile(place.first_token, pass_index);
    let own = seen_keys(rows_of(mine), pass_index);
    for (var start = all.x / TILE * TILE; start < all.y; start += TILE) {
      if (!meets(place.first_token, start, pass_index)) {
        continue;
      }
      let products = query_key(place.first_token, place.head, start, kv_head, lane);
      let dp = dy_value(place.first_token, place.head, start, kv_head, lane);
      let p = probabilities(products, stats[0], sight(own, start + 4u * (lane % SIDE) + FOUR));
      put_weights(lane / SIDE, lane % SIDE, score_gradients(p, dp, stats[1]));
      stage_keys(start, kv_head, place.first, lane);
      sum0 = add_rows(sum0, lane);
      if (CHUNKS > 1u) {
        stage_keys(start, kv_head, place.first + SIDE, lane);
        sum1 = add_rows(sum1, lane);
      }
      if (CHUNKS > 2u) {
        stage_keys(start, kv_head, place.first + 2u * SIDE, lane);
        sum2 = add_rows(sum2, lane);
      }
      if (CHUNKS > 3u) {
        stage_keys(start, kv_head, place.first + 3u * SIDE, lane);
        sum3 = add_rows(sum3, lane);
      }
    }
  }
  let blocks = array<mat4x4f, 4>(sum0, sum1, sum2, sum3);
  for (var j = 0u; j < 4u && mine + j < params.tokens; j++) {
    for (var c = 0u; c < CHUNKS; c++) {
      let vector = place.first + SIDE * c + lane % SIDE;
      if (vector < HEAD_VECTORS) {
        let at = ((mine + j) * params.heads + place.head) * HEAD_VECTORS + vector;
        var gradient = blocks[c][j];
        if (params.accumulate_query == 1u) {
          gradient += dquery[at];
        }
        dquery[at] = gradient;
      }
    }
  }
}

// The tile's rows are keys here; scores are made as above and turned.
@compute @workgroup_size(THREADS)
fn backward_key_value(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group, groups, params.kv_heads);
  if (place.first_token >= params.tokens) {
    return;
  }
  let shared_by = params.heads / params.kv_heads;
  var end = 0u;
  for (var b = 0u; b < SIDE; b++) {
    end = max(end, seeing_queries(rows_of(place.first_token + 4u * b)).end);
  }
  var key0 = mat4x4f();
  var key1 = mat4x4f();
  var key2 = mat4x4f();
  var key3 = mat4x4f();
  var value0 = mat4x4f();
  var value1 = mat4x4f();
  var value2 = mat4x4f();
  var value3 = mat4x4f();
  for (var start = place.first_token; start < end; start += TILE) {
    if (!meets(start, place.first_token, 0u) && !meets(start, place.first_token, 1u)) {
      continue;
    }
    let queries = start + 4u * (lane / SIDE) + FOUR;
    let tokens = rows_of(queries.x);
    let keys = place.first_token + 4u * (lane % SIDE) + FOUR;
    // A query past the last counts nothing.
    let real = vec4f(queries < vec4u(params.tokens));
    let visible = by_column(sight(seen_keys(tokens, 0u), keys) + sight(seen_keys(tokens, 1u), keys), real);
    for (var head = place.head * shared_by; head < (place.head + 1u) * shared_by; head++) {
      let stats = stats_of(tokens, head);
      let products = query_key(start, head, place.first_token, place.head, lane);
      let dp = dy_value(start, head, place.first_token, place.head, lane);
      let p = probabilities(products, stats[0], visible);
      put_weights(lane % SIDE, lane / SIDE, transpose(p));
      stage_dy(start, head, place.first, lane);
      value0 = add_rows(value0, lane);
      if (CHUNKS > 1u) {
        stage_dy(start, head, place.first + SIDE, lane);
        value1 = add_rows(value1, lane);
      }
      if (CHUNKS > 2u) {
        stage_dy(start, head, place.first + 2u * SIDE, lane);
        value2 = add_rows(value2, lane);
      }
      if (CHUNKS > 3u) {
        stage_dy(start, head, place.first + 3u * SIDE, lane);
        value3 = add_rows(value3, lane);
      }
      put_weights(lane % SIDE, lane / SIDE, transpose(score_gradients(p, dp, stats[1])));
      stage_queries(start, head, place.first, lane);
      key0 = add_rows(key0, lane);
      if (CHUNKS > 1u) {
        stage_queries(start, head, place.first + SIDE, lane);
        key1 = add_rows(key1, lane);
      }
      if (CHUNKS > 2u) {
        stage_queries(start, head, place.first + 2u * SIDE, lane);
        key2 = add_rows(key2, lane);
      }
      if (CHUNKS > 3u) {
        stage_queries(start, head, place.first + 3u * SIDE, lane);
        key3 = add_rows(key3, lane);
      }
    }
  }
  let mine = place.first_token + 4u * (lane / SIDE);
  let key_blocks = array<mat4x4f, 4>(key0, key1, key2, key3);
  let value_blocks = array<mat4x4f, 4>(value0, value1, value2, value3);
  for (var j = 0u; j < 4u && mine + j < params.tokens; j++) {
    for (var c = 0u; c < CHUNKS; c++) {
      let vector = place.first + SIDE * c + lane % SIDE;
      if (vector < HEAD_VECTORS) {
        let at = ((mine + j) * params.kv_heads + place.head) * HEAD_VECTORS + vector;
        var to_key = key_blocks[c][j];
        var to_value = value_blocks[c][j];
        if (params.accumulate_key == 1u) {
          to_key += dkey[at];
        }
        if (params.accumulate_value == 1u) {
          to_value += dvalue[at];
        }
        dkey[at] = to_key;
        dvalue[at] = to_value;
      }
    }
  }
}
