// The attention of attention.wgsl by workgroups: a group takes TILE queries of a head and TILE keys at a time. Both are
// staged in workgroup memory, a score is computed once for all coordinates of a head, and tiles that no span covers are
// passed over. A head wider than 128 is summed in parts by several groups.

#include "lib/staged-attention.wgsl"

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
    var range = next_origin(place.first_token, pass_index, 0u);
    var start = range.x;
    while (range.x != ANY) {
      let origin = range.x;
      let first_key = start;
      start += TILE;
      if (start >= range.y) {
        range = next_origin(place.first_token, pass_index, origin + 1u);
        start = range.x;
      }
      if (!meets(place.first_token, first_key, pass_index, origin)) {
        continue;
      }
      let own = seen_from(rows_of(mine), pass_index, origin);
      let products = query_key(place.first_token, place.head, first_key, kv_head, lane);
      let visible = sight(own, first_key + 4u * (lane % SIDE) + FOUR);
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
      stage_values(first_key, kv_head, place.first, lane);
      sum0 = add_rows(by_column(sum0, shrink), lane);
      if (CHUNKS > 1u) {
        stage_values(first_key, kv_head, place.first + SIDE, lane);
        sum1 = add_rows(by_column(sum1, shrink), lane);
      }
      if (CHUNKS > 2u) {
        stage_values(first_key, kv_head, place.first + 2u * SIDE, lane);
        sum2 = add_rows(by_column(sum2, shrink), lane);
      }
      if (CHUNKS > 3u) {
        stage_values(first_key, kv_head, place.first + 3u * SIDE, lane);
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
    var range = next_origin(place.first_token, pass_index, 0u);
    var start = range.x;
    while (range.x != ANY) {
      let origin = range.x;
      let first_key = start;
      start += TILE;
      if (start >= range.y) {
        range = next_origin(place.first_token, pass_index, origin + 1u);
        start = range.x;
      }
      if (!meets(place.first_token, first_key, pass_index, origin)) {
        continue;
      }
      let own = seen_from(rows_of(mine), pass_index, origin);
      let products = query_key(place.first_token, place.head, first_key, kv_head, lane);
      let dp = dy_value(place.first_token, place.head, first_key, kv_head, lane);
      let p = probabilities(products, stats[0], sight(own, first_key + 4u * (lane % SIDE) + FOUR));
      put_weights(lane / SIDE, lane % SIDE, score_gradients(p, dp, stats[1]));
      stage_keys(first_key, kv_head, place.first, lane);
      sum0 = add_rows(sum0, lane);
      if (CHUNKS > 1u) {
        stage_keys(first_key, kv_head, place.first + SIDE, lane);
        sum1 = add_rows(sum1, lane);
      }
      if (CHUNKS > 2u) {
        stage_keys(first_key, kv_head, place.first + 2u * SIDE, lane);
        sum2 = add_rows(sum2, lane);
      }
      if (CHUNKS > 3u) {
        stage_keys(first_key, kv_head, place.first + 3u * SIDE, lane);
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
    if (!meets(start, place.first_token, 0u, ANY) && !meets(start, place.first_token, 1u, ANY)) {
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
