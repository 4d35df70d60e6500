// The attention of attention.wgsl with workgroups: a group processes TILE queries of a head and TILE keys at a time. Both
// are staged in workgroup memory, a score is computed once for all coordinates of a head, and tiles outside all spans are
// skipped. For a head wider than 128, several groups sum parts.

#include "lib/staged-attention.wgsl"
#include "lib/staged-pieces.wgsl"

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
  if (PIECEWISE) {
    if (is_begun()) {
      if (goes_on() && tile_takes_none(place.first_token)) {
        return;
      }
      for (var j = 0u; j < 4u; j++) {
        let at = state_at(rows_of(mine)[j], place.head, place.first / (4u * SIDE), PARTS);
        highest[j] = lse[at];
        total[j] = lse[at + 1u];
      }
      var begun = y_blocks(place, mine, lane);
      sum0 = begun[0];
      sum1 = begun[1];
      sum2 = begun[2];
      sum3 = begun[3];
      storageBarrier(); // several threads read a state before one of them overwrites it
    }
  }
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    var range = next_origin(place.first_token, pass_index, 0u);
    var start = first_taken(range.x);
    while (range.x != ANY) {
      let origin = range.x;
      let first_key = start;
      let end = range.y;
      start += TILE;
      if (start >= end) {
        range = next_origin(place.first_token, pass_index, origin + 1u);
        start = first_taken(range.x);
      }
      if (first_key >= end || !meets(place.first_token, first_key, pass_index, origin)) {
        continue;
      }
      let own = seen_from(rows_of(mine), pass_index, origin);
      let products = query_key(place.first_token, place.head, first_key, kv_head, lane);
      let visible = sight(own, first_key + 4u * (lane % SIDE) + FOUR);
      let scores = seen_only(block_scores(products), visible, LOWEST);
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
  var divisors = total;
  if (PIECEWISE) {
    divisors = select(total, vec4f(1.0), goes_on());
  }
  let logs = highest + log(total);
  let blocks = array<mat4x4f, 4>(sum0, sum1, sum2, sum3);
  for (var j = 0u; j < 4u && mine + j < params.tokens; j++) {
    let row = (mine + j) * params.heads + place.head;
    for (var c = 0u; c < CHUNKS; c++) {
      let vector = place.first + SIDE * c + lane % SIDE;
      if (vector < HEAD_VECTORS) {
        y[row * HEAD_VECTORS + vector] = blocks[c][j] / divisors[j];
      }
    }
    if (lane % SIDE != 0u) {
      continue;
    }
    if (PIECEWISE) {
      if (goes_on()) {
        let at = state_at(mine + j, place.head, place.first / (4u * SIDE), PARTS);
        lse[at] = highest[j];
        lse[at + 1u] = total[j];
        continue;
      }
    }
    if (place.first == 0u) {
      lse[row] = logs[j];
    }
  }
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
  if (PIECEWISE) {
    if (is_begun()) {
      if (tile_takes_none(place.first_token)) {
        return;
      }
      var begun = dquery_blocks(place, mine, lane);
      sum0 = begun[0];
      sum1 = begun[1];
      sum2 = begun[2];
      sum3 = begun[3];
    }
  }
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    var range = next_origin(place.first_token, pass_index, 0u);
    var start = first_taken(range.x);
    while (range.x != ANY) {
      let origin = range.x;
      let first_key = start;
      let end = range.y;
      start += TILE;
      if (start >= end) {
        range = next_origin(place.first_token, pass_index, origin + 1u);
        start = first_taken(range.x);
      }
      if (first_key >= end || !meets(place.first_token, first_key, pass_index, origin)) {
        continue;
      }
      let own = seen_from(rows_of(mine), pass_index, origin);
      let scores = block_scores(query_key(place.first_token, place.head, first_key, kv_head, lane));
      let dp = dy_value(place.first_token, place.head, first_key, kv_head, lane);
      let p = probabilities(scores, stats[0], sight(own, first_key + 4u * (lane % SIDE) + FOUR));
      put_weights(lane / SIDE, lane % SIDE, score_gradients(scores, p, dp, stats[1]));
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

// The tile's rows are keys here; scores are computed as above and transposed.
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
  let mine = place.first_token + 4u * (lane / SIDE);
  var begin = place.first_token;
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
  if (PIECEWISE) {
    begin = max(begin, params.start); // ranges consist of whole tiles
    end = min(end, params.stop);
    if (is_begun()) {
      if (begin >= end) {
        return;
      }
      var begun_keys = dkey_blocks(place, mine, lane);
      key0 = begun_keys[0];
      key1 = begun_keys[1];
      key2 = begun_keys[2];
      key3 = begun_keys[3];
      var begun_values = dvalue_blocks(place, mine, lane);
      value0 = begun_values[0];
      value1 = begun_values[1];
      value2 = begun_values[2];
      value3 = begun_values[3];
    }
  }
  for (var start = begin; start < end; start += TILE) {
    if (!meets(start, place.first_token, 0u, ANY) && !meets(start, place.first_token, 1u, ANY)) {
      continue;
    }
    let queries = start + 4u * (lane / SIDE) + FOUR;
    let tokens = rows_of(queries.x);
    let keys = place.first_token + 4u * (lane % SIDE) + FOUR;
    // A query past the last one contributes nothing.
    let real = vec4f(queries < vec4u(params.tokens));
    let visible = by_column(sight(seen_keys(tokens, 0u), keys) + sight(seen_keys(tokens, 1u), keys), real);
    let first_head = place.head * shared_by;
    for (var head = first_head + params.from_head; head < first_head + params.to_head; head++) {
      let stats = stats_of(tokens, head);
      let scores = block_scores(query_key(start, head, place.first_token, place.head, lane));
      let dp = dy_value(start, head, place.first_token, place.head, lane);
      let p = probabilities(scores, stats[0], visible);
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
      put_weights(lane % SIDE, lane / SIDE, transpose(score_gradients(scores, p, dp, stats[1])));
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
