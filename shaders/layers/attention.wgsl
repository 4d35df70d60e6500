// Causal attention over packed sequences with shared prefixes and grouped query heads. Query i attends to the keys of its
// prefix [spans.x, spans.y) and of its own segment [spans.z, i]; exactly the queries [j, spans.w) attend to key j. With a
// sliding window, only the last WINDOW positions of these. Online softmax (Milakov and Gimelshein 2018; Dao et al. 2022):
// only one log-sum-exp per query is stored, not the scores. A thread holds 16 coordinates of one head as a matrix in
// registers, for one token or for four neighbors that share every load; component t of a vector belongs to token t.
// head_dim must be a multiple of 4.

#include "lib/attention.wgsl"
#include "lib/dispatch.wgsl"
#include "lib/held-heads.wgsl"

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group, groups, lane, params.heads);
  if (!place.valid) {
    return;
  }
  let kv_head = place.head / (params.heads / params.kv_heads);
  let q = query_at(place.tokens, place.head);
  let held_query = whole_query(q);
  var highest = vec4f(LOWEST);
  var total = vec4f();
  var sums: Held;
  if (PIECEWISE) {
    if (is_begun()) {
      if (goes_on() && takes_none(place.tokens)) {
        return;
      }
      for (var t = 0u; t < TOKENS; t++) {
        let at = state_at(place.tokens[t], place.head, place.first / 4u, PARTS);
        highest[t] = lse[at];
        total[t] = lse[at + 1u];
      }
      sums = hold_y(q, place.first);
    }
  }
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    let seen = taken_keys(place.tokens, pass_index);
    for (var j = seen.first; j < seen.end; j++) {
      let k = key_at(vec4u(j), kv_head).x;
      var s = query_products(held_query, q, k, key_block(k, 0u));
      let visible = covers(seen, j);
      s = select(vec4f(LOWEST), scores_of(s), visible);
      let above = max(highest, s);
      let shrink = exp(highest - above);
      let weight = select(vec4f(), exp(s - above), visible);
      highest = above;
      total = total * shrink + weight;
      scale_held(&sums, shrink);
      add_multiples(&sums, weight, value_block(k, place.first));
    }
  }
  if (PIECEWISE) {
    if (goes_on()) {
      for (var t = 0u; t < TOKENS && place.first_token + t < params.tokens; t++) {
        let at = state_at(place.first_token + t, place.head, place.first / 4u, PARTS);
        lse[at] = highest[t];
        lse[at + 1u] = total[t];
      }
      store_y(place, q, sums);
      return;
    }
  }
  scale_held(&sums, 1.0 / total);
  let logs = highest + log(total);
  store_y(place, q, sums);
  if (place.first == 0u) {
    for (var t = 0u; t < TOKENS && place.first_token + t < params.tokens; t++) {
      lse[(place.first_token + t) * params.heads + place.head] = logs[t];
    }
  }
}

fn store_y(place: Place, q: vec4u, sums: Held) {
  // Stores use loops: written out, they would dominate the compile time of a pipeline.
  let blocks = array<mat4x4f, 4>(sums.t0, sums.t1, sums.t2, sums.t3);
  for (var t = 0u; t < TOKENS && place.first_token + t < params.tokens; t++) {
    for (var v = 0u; v < 4u && place.first + v < HEAD_VECTORS; v++) {
      y[q[t] + place.first + v] = blocks[t][v];
    }
  }
}

fn scale_held(sums: ptr<function, Held>, factors: vec4f) {
  (*sums).t0 *= factors.x;
  if (TOKENS == 4u) {
    (*sums).t1 *= factors.y;
    (*sums).t2 *= factors.z;
    (*sums).t3 *= factors.w;
  }
}

// Computes delta = rowsum(dy · y) and stores it with the log-sum-exp, once per query and head.
@compute @workgroup_size(WORKGROUP)
fn backward_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id >= params.tokens * params.heads) {
    return;
  }
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(dy[id * HEAD_VECTORS + i], saved_y[id * HEAD_VECTORS + i]);
  }
  row_stats_out[id] = vec2f(saved_lse[id], sum);
}

// dq = Σ over seen keys of slope · p · (dp − delta) · k, dp = dy · value; the slope is the scale, and the cap's
@compute @workgroup_size(WORKGROUP)
fn backward_query(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group, groups, lane, params.heads);
  if (!place.valid) {
    return;
  }
  let kv_head = place.head / (params.heads / params.kv_heads);
  let q = query_at(place.tokens, place.head);
  let held_query = whole_query(q);
  let held_dy = whole_dy(q);
  let r = place.tokens * params.heads + place.head;
  let r0 = row_stats[r.x];
  let r1 = row_stats[r.y];
  let r2 = row_stats[r.z];
  let r3 = row_stats[r.w];
  let log_sums = vec4f(r0.x, r1.x, r2.x, r3.x);
  let deltas = vec4f(r0.y, r1.y, r2.y, r3.y);
  var sums: Held;
  if (PIECEWISE) {
    if (is_begun()) {
      if (takes_none(place.tokens)) {
        return;
      }
      sums = hold_dquery(q, place.first);
    }
  }
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    let seen = taken_keys(place.tokens, pass_index);
    for (var j = seen.first; j < seen.end; j++) {
      let k = key_at(vec4u(j), kv_head).x;
      var own_key = key_block(k, 0u);
      let s = scores_of(query_products(held_query, q, k, own_key));
      let dp = dy_products(held_dy, q, k, value_block(k, 0u));
      if (PARTS > 1u) {
        own_key = key_block(k, place.first);
      }
      let weight = select(vec4f(), exp(s - log_sums), covers(seen, j));
      add_multiples(&sums, weight * (dp - deltas) * score_slopes(s), own_key);
    }
  }
  let blocks = array<mat4x4f, 4>(sums.t0, sums.t1, sums.t2, sums.t3);
  for (var t = 0u; t < TOKENS && place.first_token + t < params.tokens; t++) {
    for (var v = 0u; v < 4u && place.first + v < HEAD_VECTORS; v++) {
      let at = q[t] + place.first + v;
      var gradient = blocks[t][v];
      if (params.accumulate_query == 1u) {
        gradient += dquery[at];
      }
      dquery[at] = gradient;
    }
  }
}

// dk = Σ slope · p · (dp − delta) · q and dv = Σ p · dy, over the queries that see the key and the heads that share it.
@compute @workgroup_size(WORKGROUP)
fn backward_key_value(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = place_of(group, groups, lane, params.kv_heads);
  if (!place.valid) {
    return;
  }
  let shared_by = params.heads / params.kv_heads;
  let k = key_at(place.tokens, place.head);
  let held_key = whole_key(k);
  let held_value = whole_value(k);
  let seeing = taken_queries(place.tokens);
  var key_sums: Held;
  var value_sums: Held;
  if (PIECEWISE) {
    if (is_begun()) {
      if (seeing.end == 0u) {
        return;
      }
      key_sums = hold_dkey(k, place.first);
      value_sums = hold_dvalue(k, place.first);
    }
  }
  let first_head = place.head * shared_by;
  for (var head = first_head + params.from_head; head < first_head + params.to_head; head++) {
    for (var i = seeing.first; i < seeing.end; i++) {
      let q = query_at(vec4u(i), head).x;
      let stats = row_stats[i * params.heads + head];
      var own_query = query_block(q, 0u);
      var own_dy = dy_block(q, 0u);
      let s = scores_of(key_products(held_key, k, q, own_query));
      let dp = value_products(held_value, k, q, own_dy);
      if (PARTS > 1u) {
        own_query = query_block(q, place.first);
        own_dy = dy_block(q, place.first);
      }
      let weight = select(vec4f(), exp(s - stats.x), covers(seeing, i) & in_window(place.tokens, i));
      add_multiples(&key_sums, weight * (dp - stats.y) * score_slopes(s), own_query);
      add_multiples(&value_sums, weight, own_dy);
    }
  }
  let key_blocks = array<mat4x4f, 4>(key_sums.t0, key_sums.t1, key_sums.t2, key_sums.t3);
  let value_blocks = array<mat4x4f, 4>(value_sums.t0, value_sums.t1, value_sums.t2, value_sums.t3);
  for (var t = 0u; t < TOKENS && place.first_token + t < params.tokens; t++) {
    for (var v = 0u; v < 4u && place.first + v < HEAD_VECTORS; v++) {
      let at = k[t] + place.first + v;
      var to_key = key_blocks[t][v];
      var to_value = value_blocks[t][v];
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
fn hold_y(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    let at = vectors_at(starts[t], first);
    blocks[t] = mat4x4f(y[at.x], y[at.y], y[at.z], y[at.w]);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}

fn hold_dquery(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    let at = vectors_at(starts[t], first);
    blocks[t] = mat4x4f(dquery[at.x], dquery[at.y], dquery[at.z], dquery[at.w]);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}

fn hold_dkey(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    let at = vectors_at(starts[t], first);
    blocks[t] = mat4x4f(dkey[at.x], dkey[at.y], dkey[at.z], dkey[at.w]);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}

fn hold_dvalue(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    let at = vectors_at(starts[t], first);
    blocks[t] = mat4x4f(dvalue[at.x], dvalue[at.y], dvalue[at.z], dvalue[at.w]);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}
