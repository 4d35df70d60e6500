// Causal attention over packed sequences with shared prefixes and grouped query heads. Query i sees the keys of its
// prefix [spans.x, spans.y) and of its own segment [spans.z, i]; key j is seen by exactly the queries [j, spans.w).
// Online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): the scores are never stored, one log-sum-exp a query
// is. A thread owns 16 coordinates of one head as a matrix in registers, for one token or for four neighbours that share
// every load; what it holds of token t is component t of a vector. head_dim must be a multiple of 4.

#include "lib/dispatch.wgsl"
#include "lib/held-heads.wgsl"

struct Params {
  tokens: u32,
  heads: u32,
  kv_heads: u32,
  scale: f32,
  accumulate_query: u32,
  accumulate_key: u32,
  accumulate_value: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // (tokens, kv_heads · head_dim)
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // (tokens, kv_heads · head_dim)
@group(0) @binding(4) var<storage, read> spans: array<vec4u>; // (tokens): prefix start, prefix end, start, query end
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(6) var<storage, read_write> lse: array<f32>; // (tokens, heads)
@group(0) @binding(7) var<storage, read> dy: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(8) var<storage, read> saved_y: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(9) var<storage, read> saved_lse: array<f32>; // (tokens, heads)
@group(0) @binding(10) var<storage, read> row_stats: array<vec2f>; // (tokens, heads): log-sum-exp, rowsum(dy · y)
@group(0) @binding(11) var<storage, read_write> row_stats_out: array<vec2f>; // the same, as backward_rows writes it
@group(0) @binding(12) var<storage, read_write> dquery: array<vec4f>;
@group(0) @binding(13) var<storage, read_write> dkey: array<vec4f>;
@group(0) @binding(14) var<storage, read_write> dvalue: array<vec4f>;

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
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    let seen = seen_keys(place.tokens, pass_index);
    for (var j = seen.first; j < seen.end; j++) {
      let k = key_at(vec4u(j), kv_head).x;
      var s = query_products(held_query, q, k, key_block(k, 0u));
      let visible = covers(seen, j);
      s = select(vec4f(LOWEST), s * params.scale, visible);
      let above = max(highest, s);
      let shrink = exp(highest - above);
      let weight = select(vec4f(), exp(s - above), visible);
      highest = above;
      total = total * shrink + weight;
      scale_held(&sums, shrink);
      add_multiples(&sums, weight, value_block(k, place.first));
    }
  }
  scale_held(&sums, 1.0 / total);
  let logs = highest + log(total);
  store_forward(place, 0u, q.x, sums.t0, logs.x);
  if (TOKENS == 4u) {
    store_forward(place, 1u, q.y, sums.t1, logs.y);
    store_forward(place, 2u, q.z, sums.t2, logs.z);
    store_forward(place, 3u, q.w, sums.t3, logs.w);
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

fn store_forward(place: Place, t: u32, start: u32, block: mat4x4f, log_sum: f32) {
  let token = place.first_token + t;
  if (token >= params.tokens) {
    return;
  }
  let at = start + place.first;
  y[at] = block[0];
  if (place.first + 1u < HEAD_VECTORS) {
    y[at + 1u] = block[1];
  }
  if (place.first + 2u < HEAD_VECTORS) {
    y[at + 2u] = block[2];
  }
  if (place.first + 3u < HEAD_VECTORS) {
    y[at + 3u] = block[3];
  }
  if (place.first == 0u) {
    lse[token * params.heads + place.head] = log_sum;
  }
}

// The log-sum-exp beside delta = rowsum(dy · y), once a query and head.
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

// dq = scale · Σ over seen keys of p · (dp − delta) · k, dp = dy · value
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
  for (var pass_index = 0u; pass_index < 2u; pass_index++) {
    let seen = seen_keys(place.tokens, pass_index);
    for (var j = seen.first; j < seen.end; j++) {
      let k = key_at(vec4u(j), kv_head).x;
      var own_key = key_block(k, 0u);
      let s = query_products(held_query, q, k, own_key);
      let dp = dy_products(held_dy, q, k, value_block(k, 0u));
      if (PARTS > 1u) {
        own_key = key_block(k, place.first);
      }
      let weight = select(vec4f(), exp(s * params.scale - log_sums), covers(seen, j));
      add_multiples(&sums, weight * (dp - deltas) * params.scale, own_key);
    }
  }
  add_query(place, 0u, q.x, sums.t0);
  if (TOKENS == 4u) {
    add_query(place, 1u, q.y, sums.t1);
    add_query(place, 2u, q.z, sums.t2);
    add_query(place, 3u, q.w, sums.t3);
  }
}

fn add_query(place: Place, t: u32, start: u32, block: mat4x4f) {
  if (place.first_token + t >= params.tokens) {
    return;
  }
  add_query_vector(start, place.first, block[0]);
  add_query_vector(start, place.first + 1u, block[1]);
  add_query_vector(start, place.first + 2u, block[2]);
  add_query_vector(start, place.first + 3u, block[3]);
}

fn add_query_vector(start: u32, vector: u32, gradient: vec4f) {
  if (vector >= HEAD_VECTORS) {
    return;
  }
  var sum = gradient;
  if (params.accumulate_query == 1u) {
    sum += dquery[start + vector];
  }
  dquery[start + vector] = sum;
}

// dk = scale · Σ p · (dp − delta) · q and dv = Σ p · dy, over the queries that see the key and the heads that share it.
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
  let seeing = seeing_queries(place.tokens);
  var key_sums: Held;
  var value_sums: Held;
  for (var head = place.head * shared_by; head < (place.head + 1u) * shared_by; head++) {
    for (var i = seeing.first; i < seeing.end; i++) {
      let q = query_at(vec4u(i), head).x;
      let stats = row_stats[i * params.heads + head];
      var own_query = query_block(q, 0u);
      var own_dy = dy_block(q, 0u);
      let s = key_products(held_key, k, q, own_query);
      let dp = value_products(held_value, k, q, own_dy);
      if (PARTS > 1u) {
        own_query = query_block(q, place.first);
        own_dy = dy_block(q, place.first);
      }
      let weight = select(vec4f(), exp(s * params.scale - stats.x), covers(seeing, i));
      add_multiples(&key_sums, weight * (dp - stats.y) * params.scale, own_query);
      add_multiples(&value_sums, weight, own_dy);
    }
  }
  add_key_value(place, 0u, k.x, key_sums.t0, value_sums.t0);
  if (TOKENS == 4u) {
    add_key_value(place, 1u, k.y, key_sums.t1, value_sums.t1);
    add_key_value(place, 2u, k.z, key_sums.t2, value_sums.t2);
    add_key_value(place, 3u, k.w, key_sums.t3, value_sums.t3);
  }
}

fn add_key_value(place: Place, t: u32, start: u32, to_key: mat4x4f, to_value: mat4x4f) {
  if (place.first_token + t >= params.tokens) {
    return;
  }
  add_vectors(start, place.first, to_key[0], to_value[0]);
  add_vectors(start, place.first + 1u, to_key[1], to_value[1]);
  add_vectors(start, place.first + 2u, to_key[2], to_value[2]);
  add_vectors(start, place.first + 3u, to_key[3], to_value[3]);
}

fn add_vectors(start: u32, vector: u32, to_key: vec4f, to_value: vec4f) {
  if (vector >= HEAD_VECTORS) {
    return;
  }
  var key_sum = to_key;
  var value_sum = to_value;
  if (params.accumulate_key == 1u) {
    key_sum += dkey[start + vector];
  }
  if (params.accumulate_value == 1u) {
    value_sum += dvalue[start + vector];
  }
  dkey[start + vector] = key_sum;
  dvalue[start + vector] = value_sum;
}
