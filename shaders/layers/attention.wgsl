// Causal attention over packed sequences with shared prefixes and grouped query heads. Query i sees the keys of its
// prefix [spans.x, spans.y) and of its own segment [spans.z, i]; key j is seen by exactly the queries [j, spans.w).
// Online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): the scores are never stored, one log-sum-exp a query
// is. A thread owns 16 coordinates of one head of one token, in named registers. head_dim must be a multiple of 4.

#include "lib/dispatch.wgsl"

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

const WORKGROUP: u32 = 64;
const HEAD_VECTORS: u32 = 4; // head_dim / 4
const PARTS: u32 = 1; // ceil(HEAD_VECTORS / 4): threads that share a head

// What a thread owns: token, head and the first of its four vectors.
struct Place {
  token: u32,
  head: u32,
  first: u32,
  valid: bool,
}

fn place_of(group: vec3u, groups: vec3u, lane: u32, heads: u32) -> Place {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let head = id / PARTS;
  return Place(head / heads, head % heads, (id % PARTS) * 4u, head / heads < params.tokens);
}

fn query_at(token: u32, head: u32) -> u32 {
  return (token * params.heads + head) * HEAD_VECTORS;
}

fn key_at(token: u32, head: u32) -> u32 {
  return (token * params.kv_heads + head) * HEAD_VECTORS;
}

fn score(q: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(query[q + i], key[k + i]);
  }
  return sum * params.scale;
}

// dp of one query and key: dy · value.
fn upstream(q: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(dy[q + i], value[k + i]);
  }
  return sum;
}

// A head whose width is no multiple of 16 has fewer than four vectors in its last part: those are read again and
// never stored.
fn part(first: u32, i: u32) -> u32 {
  return min(first + i, HEAD_VECTORS - 1u);
}

// The t-th key that a query sees.
fn seen_key(span: vec4u, t: u32) -> u32 {
  let prefix = span.y - span.x;
  return select(span.z + t - prefix, span.x + t, t < prefix);
}

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
  let span = spans[place.token];
  let q = query_at(place.token, place.head);
  let kv_head = place.head / (params.heads / params.kv_heads);
  let p0 = part(place.first, 0u);
  let p1 = part(place.first, 1u);
  let p2 = part(place.first, 2u);
  let p3 = part(place.first, 3u);
  let count = span.y - span.x + place.token + 1u - span.z;
  var highest = -3.0e38;
  var total = 0.0;
  var y0 = vec4f();
  var y1 = vec4f();
  var y2 = vec4f();
  var y3 = vec4f();
  for (var t = 0u; t < count; t++) {
    let k = key_at(seen_key(span, t), kv_head);
    let s = score(q, k);
    let above = max(highest, s);
    let shrink = exp(highest - above);
    let weight = exp(s - above);
    highest = above;
    total = total * shrink + weight;
    y0 = y0 * shrink + weight * value[k + p0];
    y1 = y1 * shrink + weight * value[k + p1];
    y2 = y2 * shrink + weight * value[k + p2];
    y3 = y3 * shrink + weight * value[k + p3];
  }
  let inverse = 1.0 / total;
  y[q + place.first] = y0 * inverse;
  if (place.first + 1u < HEAD_VECTORS) {
    y[q + place.first + 1u] = y1 * inverse;
  }
  if (place.first + 2u < HEAD_VECTORS) {
    y[q + place.first + 2u] = y2 * inverse;
  }
  if (place.first + 3u < HEAD_VECTORS) {
    y[q + place.first + 3u] = y3 * inverse;
  }
  if (place.first == 0u) {
    lse[place.token * params.heads + place.head] = highest + log(total);
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

// dq = scale · Σ over seen keys of p · (dp − delta) · k
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
  let span = spans[place.token];
  let q = query_at(place.token, place.head);
  let stats = row_stats[place.token * params.heads + place.head];
  let kv_head = place.head / (params.heads / params.kv_heads);
  let p0 = part(place.first, 0u);
  let p1 = part(place.first, 1u);
  let p2 = part(place.first, 2u);
  let p3 = part(place.first, 3u);
  let count = span.y - span.x + place.token + 1u - span.z;
  var d0 = vec4f();
  var d1 = vec4f();
  var d2 = vec4f();
  var d3 = vec4f();
  for (var t = 0u; t < count; t++) {
    let k = key_at(seen_key(span, t), kv_head);
    let weight = exp(score(q, k) - stats.x);
    let ds = weight * (upstream(q, k) - stats.y) * params.scale;
    d0 += ds * key[k + p0];
    d1 += ds * key[k + p1];
    d2 += ds * key[k + p2];
    d3 += ds * key[k + p3];
  }
  add_query(q, place.first, d0);
  add_query(q, place.first + 1u, d1);
  add_query(q, place.first + 2u, d2);
  add_query(q, place.first + 3u, d3);
}

fn add_query(at: u32, vector: u32, gradient: vec4f) {
  if (vector >= HEAD_VECTORS) {
    return;
  }
  var sum = gradient;
  if (params.accumulate_query == 1u) {
    sum += dquery[at + vector];
  }
  dquery[at + vector] = sum;
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
  let k = key_at(place.token, place.head);
  let end = spans[place.token].w;
  let p0 = part(place.first, 0u);
  let p1 = part(place.first, 1u);
  let p2 = part(place.first, 2u);
  let p3 = part(place.first, 3u);
  var k0 = vec4f();
  var k1 = vec4f();
  var k2 = vec4f();
  var k3 = vec4f();
  var v0 = vec4f();
  var v1 = vec4f();
  var v2 = vec4f();
  var v3 = vec4f();
  for (var h = 0u; h < shared_by; h++) {
    let head = place.head * shared_by + h;
    for (var i = place.token; i < end; i++) {
      let q = query_at(i, head);
      let stats = row_stats[i * params.heads + head];
      let weight = exp(score(q, k) - stats.x);
      let ds = weight * (upstream(q, k) - stats.y) * params.scale;
      k0 += ds * query[q + p0];
      k1 += ds * query[q + p1];
      k2 += ds * query[q + p2];
      k3 += ds * query[q + p3];
      v0 += weight * dy[q + p0];
      v1 += weight * dy[q + p1];
      v2 += weight * dy[q + p2];
      v3 += weight * dy[q + p3];
    }
  }
  add_key_value(k, place.first, k0, v0);
  add_key_value(k, place.first + 1u, k1, v1);
  add_key_value(k, place.first + 2u, k2, v2);
  add_key_value(k, place.first + 3u, k3, v3);
}

fn add_key_value(at: u32, vector: u32, to_key: vec4f, to_value: vec4f) {
  if (vector >= HEAD_VECTORS) {
    return;
  }
  var key_sum = to_key;
  var value_sum = to_value;
  if (params.accumulate_key == 1u) {
    key_sum += dkey[at + vector];
  }
  if (params.accumulate_value == 1u) {
    value_sum += dvalue[at + vector];
  }
  dkey[at + vector] = key_sum;
  dvalue[at + vector] = value_sum;
}
