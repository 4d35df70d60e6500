// The attention of attention.wgsl with four threads, a quad, per head: each computes a part of a score, they exchange parts
// without barriers, and no score is computed twice. A quad is a workgroup, so that the numbering of threads on a device
// does not matter. Weights are relative to a power of two, the largest so far that a key requires, and sums are rescaled by
// powers of two, which is exact: the result of a query does not depend on which of its keys are processed in pairs, and
// thus not on the rest of the batch.
enable subgroups;
diagnostic(off, subgroup_uniformity);

#include "lib/attention.wgsl"
#include "lib/dispatch.wgsl"
#include "lib/quad-attention.wgsl"

const LOG2_E = 1.4426950408889634;

@compute @workgroup_size(4)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) part: u32,
) {
  let place = place_of(group, groups, part, params.heads);
  if (place.first_token >= params.tokens) {
    return;
  }
  let kv_head = place.head / (params.heads / params.kv_heads);
  var held_query = hold_query(place);
  var highest = vec4f(LOWEST);
  var total = vec4f();
  var sums: Held;
  var keys: Rows;
  var values: Rows;
  let keys_seen = keys_of_quad(place.tokens);
  if (PIECEWISE) {
    if (is_begun()) {
      if (goes_on() && keys_seen.turns == 0u) {
        return;
      }
      for (var b = 0u; b < BLOCKS; b++) {
        let at = state_at(place.tokens[b], place.head, 0u, 1u);
        highest[b] = lse[at];
        total[b] = lse[at + 1u];
      }
      sums = hold_y(place);
    }
  }
  for (var turn = 0u; turn < keys_seen.turns; turn++) {
    let seen = seen_in(keys_seen, turn);
    let j = key_in(keys_seen, turn);
    let k = key_at(two_from(j), kv_head);
    read_keys(&keys, &values, k, part);
    let s = scores_in_bits(products(&held_query, &keys, place.own));
    let visible0 = covers(seen, j);
    let visible1 = covers(seen, j + 1u);
    let whole0 = floor(s[0]);
    let whole1 = floor(s[1]);
    let above = max(highest, max(select(vec4f(LOWEST), whole0, visible0), select(vec4f(LOWEST), whole1, visible1)));
    let shrink = power_of_two(highest - above);
    let weights = mat2x4f(
      select(vec4f(), exp2(s[0] - whole0) * power_of_two(whole0 - above), visible0),
      select(vec4f(), exp2(s[1] - whole1) * power_of_two(whole1 - above), visible1),
    );
    highest = above;
    total = total * shrink + weights[0] + weights[1];
    scale_held(&sums, shrink);
    add_multiples(&sums, weights, &values);
  }
  if (PIECEWISE) {
    if (goes_on()) {
      for (var b = 0u; b < BLOCKS; b++) {
        let token = place.first_token + 4u * b + part;
        if (token < params.tokens) {
          let at = state_at(token, place.head, 0u, 1u);
          lse[at] = highest[b];
          lse[at + 1u] = total[b];
        }
      }
      store_y(place, sums);
      return;
    }
  }
  scale_held(&sums, 1.0 / total);
  store_y(place, sums);
  let logs = (highest + log2(total)) / LOG2_E;
  for (var b = 0u; b < BLOCKS; b++) {
    let token = place.first_token + 4u * b + part;
    if (token < params.tokens) {
      lse[token * params.heads + place.head] = logs[b];
    }
  }
}

fn store_y(place: Place, sums: Held) {
  var results = sums;
  for (var t = 0u; t < 4u * BLOCKS && place.first_token + t < params.tokens; t++) {
    let q = query_at(vec4u(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + place.part < HEAD_VECTORS; v++) {
      y[q + 4u * v + place.part] = results[v * BLOCKS + t / 4u][t % 4u];
    }
  }
}

// Scores in units of log 2.
fn scores_in_bits(products: mat2x4f) -> mat2x4f {
  if (CAPPED) {
    return scores_of_two(products) * LOG2_E;
  }
  return products * (params.scale * LOG2_E);
}

fn scores_of_two(products: mat2x4f) -> mat2x4f {
  return mat2x4f(scores_of(products[0]), scores_of(products[1]));
}

fn times_slopes(weights: mat2x4f, scores: mat2x4f) -> mat2x4f {
  return mat2x4f(weights[0] * score_slopes(scores[0]), weights[1] * score_slopes(scores[1]));
}

// 2ⁿ for integers n ≤ 0; subnormal results become 0.
fn power_of_two(n: vec4f) -> vec4f {
  let exponents = vec4u(vec4i(max(n, vec4f(-127.0))) + 127);
  return bitcast<vec4f>(exponents << vec4u(23u));
}

// dq = Σ over seen keys of slope · p · (dp − delta) · k, dp = dy · value; the slope is the scale, and the cap's
@compute @workgroup_size(4)
fn backward_query(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) part: u32,
) {
  let place = place_of(group, groups, part, params.heads);
  if (place.first_token >= params.tokens) {
    return;
  }
  let kv_head = place.head / (params.heads / params.kv_heads);
  var held_query = hold_query(place);
  var held_dy = hold_dy(place);
  var log_sums: vec4f;
  var deltas: vec4f;
  for (var b = 0u; b < BLOCKS; b++) {
    let stats = row_stats[place.tokens[b] * params.heads + place.head];
    log_sums[b] = stats.x;
    deltas[b] = stats.y;
  }
  var sums: Held;
  var keys: Rows;
  var values: Rows;
  let keys_seen = keys_of_quad(place.tokens);
  if (PIECEWISE) {
    if (is_begun()) {
      if (keys_seen.turns == 0u) {
        return;
      }
      sums = hold_dquery(place);
    }
  }
  for (var turn = 0u; turn < keys_seen.turns; turn++) {
    let seen = seen_in(keys_seen, turn);
    let j = key_in(keys_seen, turn);
    let k = key_at(two_from(j), kv_head);
    read_keys(&keys, &values, k, part);
    let s = scores_of_two(products(&held_query, &keys, place.own));
    let dp = products(&held_dy, &values, place.own);
    let weights = mat2x4f(
      select(vec4f(), exp(s[0] - log_sums), covers(seen, j)) * (dp[0] - deltas),
      select(vec4f(), exp(s[1] - log_sums), covers(seen, j + 1u)) * (dp[1] - deltas),
    );
    add_multiples(&sums, times_slopes(weights, s), &keys);
  }
  var results = sums;
  for (var t = 0u; t < 4u * BLOCKS && place.first_token + t < params.tokens; t++) {
    let q = query_at(vec4u(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + part < HEAD_VECTORS; v++) {
      let at = q + 4u * v + part;
      var gradient = results[v * BLOCKS + t / 4u][t % 4u];
      if (params.accumulate_query == 1u) {
        gradient += dquery[at];
      }
      dquery[at] = gradient;
    }
  }
}

// dk = Σ slope · p · (dp − delta) · q and dv = Σ p · dy, over the queries that see the key and the heads that share it.
@compute @workgroup_size(4)
fn backward_key_value(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) part: u32,
) {
  let place = place_of(group, groups, part, params.kv_heads);
  if (place.first_token >= params.tokens) {
    return;
  }
  let shared_by = params.heads / params.kv_heads;
  var held_key = hold_key(place);
  var held_value = hold_value(place);
  let seeing = taken_queries(place.tokens);
  let range = range_of_quad(seeing);
  var key_sums: Held;
  var value_sums: Held;
  var queries: Rows;
  var dys: Rows;
  let first_head = place.head * shared_by + params.from_head;
  let turns = turns_in(range);
  if (PIECEWISE) {
    if (is_begun()) {
      if (turns == 0u) {
        return;
      }
      key_sums = hold_dkey(place);
      value_sums = hold_dvalue(place);
    }
  }
  for (var turn = 0u; turn < (params.to_head - params.from_head) * turns; turn++) {
    let head = first_head + turn / turns;
    let i = range.x + 2u * (turn % turns);
    let two = two_from(i);
    let q = query_at(two, head);
    read_queries(&queries, &dys, q, part);
    let stats0 = row_stats[two.x * params.heads + head];
    let stats1 = row_stats[two.y * params.heads + head];
    let s = scores_of_two(products(&held_key, &queries, place.own));
    let dp = products(&held_value, &dys, place.own);
    let visible0 = covers(seeing, i) & in_window(place.tokens, two.x);
    let visible1 = covers(seeing, i + 1u) & in_window(place.tokens, two.y);
    let weights = mat2x4f(
      select(vec4f(), exp(s[0] - stats0.x), visible0),
      select(vec4f(), exp(s[1] - stats1.x), visible1),
    );
    let pulls = mat2x4f(weights[0] * (dp[0] - stats0.y), weights[1] * (dp[1] - stats1.y));
    add_multiples(&value_sums, weights, &dys);
    add_multiples(&key_sums, times_slopes(pulls, s), &queries);
  }
  var to_keys = key_sums;
  var to_values = value_sums;
  for (var t = 0u; t < 4u * BLOCKS && place.first_token + t < params.tokens; t++) {
    let k = key_at(vec4u(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + part < HEAD_VECTORS; v++) {
      let at = k + 4u * v + part;
      var to_key = to_keys[v * BLOCKS + t / 4u][t % 4u];
      var to_value = to_values[v * BLOCKS + t / 4u][t % 4u];
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

// Running sums of the previous dispatch, under PIECEWISE.
fn hold_y(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = query_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + place.part < HEAD_VECTORS; v++) {
      held[v * BLOCKS + t / 4u][t % 4u] = y[at + 4u * v + place.part];
    }
  }
  return held;
}

fn hold_dquery(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = query_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + place.part < HEAD_VECTORS; v++) {
      held[v * BLOCKS + t / 4u][t % 4u] = dquery[at + 4u * v + place.part];
    }
  }
  return held;
}

fn hold_dkey(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = key_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + place.part < HEAD_VECTORS; v++) {
      held[v * BLOCKS + t / 4u][t % 4u] = dkey[at + 4u * v + place.part];
    }
  }
  return held;
}

fn hold_dvalue(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = key_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS && 4u * v + place.part < HEAD_VECTORS; v++) {
      held[v * BLOCKS + t / 4u][t % 4u] = dvalue[at + 4u * v + place.part];
    }
  }
  return held;
}
