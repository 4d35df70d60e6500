// Attention of one new token a sequence to what its sequence has seen: the prompt's keys, which several sequences may
// share, its own earlier tokens' keys, and itself. Stores the new key and value in the cache on the way. One softmax as
// in attention.wgsl (Milakov and Gimelshein 2018); nothing is kept for a gradient.
//   forward: a thread owns 16 coordinates of one head, in named registers, and no thread waits for another.
//   forward_wide: a workgroup owns a head, its threads first share the keys and then the coordinates; head_dim at most
//   256. For long contexts on a GPU.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  rows: u32,
  heads: u32,
  kv_heads: u32,
  cached: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params; // cached: earlier tokens of each sequence's own
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // (rows, heads · head_dim)
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // (rows, kv_heads · head_dim)
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // (rows, kv_heads · head_dim)
@group(0) @binding(4) var<storage, read> places: array<vec4u>; // (rows): prompt start, prompt end, own start, sequence
@group(0) @binding(5) var<storage, read_write> keys: array<vec4f>; // (cache rows, kv_heads · head_dim)
@group(0) @binding(6) var<storage, read_write> values: array<vec4f>; // (cache rows, kv_heads · head_dim)
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>; // (rows, heads · head_dim)

const HEAD_VECTORS: u32 = 4; // head_dim / 4
const PARTS: u32 = 1; // ceil(HEAD_VECTORS / 4): threads of forward that share a head
const LAST: u32 = HEAD_VECTORS - 1;
const WINDOW: u32 = 0; // positions that a token sees, itself the last; 0 for all

// The first of the cached keys in sight.
fn first_seen(count: u32) -> u32 {
  if (WINDOW == 0u) {
    return 0u;
  }
  return count + 1u - min(count + 1u, WINDOW);
}

fn shared_by() -> u32 {
  return params.heads / params.kv_heads;
}

// Where a row of the cache, or of key and value, keeps a head.
fn head_at(row: u32, kv_head: u32) -> u32 {
  return (row * params.kv_heads + kv_head) * HEAD_VECTORS;
}

// The cache row of the t-th key that a sequence has seen.
fn seen_row(place: vec4u, t: u32) -> u32 {
  let prompt = place.y - place.x;
  return select(place.z + t - prompt, place.x + t, t < prompt);
}

fn own_score(q: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(query[q + i], key[k + i]);
  }
  return sum * params.scale;
}

fn cached_score(q: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(query[q + i], keys[k + i]);
  }
  return sum * params.scale;
}

// The new token's key and value go to the row after the sequence's own last one.
fn store(place: vec4u, kv_head: u32, vector: u32, own: u32) {
  if (vector < HEAD_VECTORS) {
    let at = head_at(place.z + params.cached, kv_head) + vector;
    keys[at] = key[own + vector];
    values[at] = value[own + vector];
  }
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * 64u + lane;
  let row_head = id / PARTS;
  let row = row_head / params.heads;
  if (row >= params.rows) {
    return;
  }
  let place = places[row];
  let head = row_head % params.heads;
  let kv_head = head / shared_by();
  let first = (id % PARTS) * 4u;
  let q = row_head * HEAD_VECTORS;
  let own = head_at(row, kv_head);
  // A last part with fewer than four vectors reads the last one again and never stores it.
  let p0 = first;
  let p1 = min(first + 1u, LAST);
  let p2 = min(first + 2u, LAST);
  let p3 = min(first + 3u, LAST);
  // Four vectors of the query stay in registers, which halves the time of a narrow head on the CPU.
  let q0 = query[q];
  let q1 = select(vec4f(), query[q + min(1u, LAST)], HEAD_VECTORS > 1);
  let q2 = select(vec4f(), query[q + min(2u, LAST)], HEAD_VECTORS > 2);
  let q3 = select(vec4f(), query[q + min(3u, LAST)], HEAD_VECTORS > 3);
  // The token sees itself, so the softmax starts from there.
  var highest = own_score(q, own);
  var total = 1.0;
  var y0 = value[own + p0];
  var y1 = value[own + p1];
  var y2 = value[own + p2];
  var y3 = value[own + p3];
  let count = place.y - place.x + params.cached;
  for (var t = first_seen(count); t < count; t++) {
    let k = head_at(seen_row(place, t), kv_head);
    var s = dot(q0, keys[k]) + dot(q1, keys[k + min(1u, LAST)]);
    s += dot(q2, keys[k + min(2u, LAST)]) + dot(q3, keys[k + min(3u, LAST)]);
    for (var i = 4u; i < HEAD_VECTORS; i++) {
      s += dot(query[q + i], keys[k + i]);
    }
    s *= params.scale;
    let above = max(highest, s);
    let shrink = exp(highest - above);
    let weight = exp(s - above);
    highest = above;
    total = total * shrink + weight;
    y0 = y0 * shrink + weight * values[k + p0];
    y1 = y1 * shrink + weight * values[k + p1];
    y2 = y2 * shrink + weight * values[k + p2];
    y3 = y3 * shrink + weight * values[k + p3];
  }
  let inverse = 1.0 / total;
  y[q + first] = y0 * inverse;
  if (first + 1u < HEAD_VECTORS) {
    y[q + first + 1u] = y1 * inverse;
  }
  if (first + 2u < HEAD_VECTORS) {
    y[q + first + 2u] = y2 * inverse;
  }
  if (first + 3u < HEAD_VECTORS) {
    y[q + first + 3u] = y3 * inverse;
  }
  if (head % shared_by() == 0u) {
    store(place, kv_head, first, own);
    store(place, kv_head, first + 1u, own);
    store(place, kv_head, first + 2u, own);
    store(place, kv_head, first + 3u, own);
  }
}

var<workgroup> weights: array<f32, WORKGROUP>; // of a tile of keys
var<workgroup> shares: array<vec4f, WORKGROUP>; // of a head's coordinates, from every team

@compute @workgroup_size(WORKGROUP)
fn forward_wide(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row_head = linear_group(group, groups);
  let row = row_head / params.heads;
  if (row >= params.rows) {
    return;
  }
  let place = places[row];
  let head = row_head % params.heads;
  let kv_head = head / shared_by();
  let q = row_head * HEAD_VECTORS;
  let own = head_at(row, kv_head);
  // A team has a thread for each vector of the head; the teams take turns at the keys of a tile.
  let teams = WORKGROUP / HEAD_VECTORS;
  let team = lane / HEAD_VECTORS;
  let vector = lane % HEAD_VECTORS;
  let count = place.y - place.x + params.cached;
  let own_weight_log = own_score(q, own);
  var highest = own_weight_log;
  var total = 0.0; // this thread's share, the token itself left out
  var sum = vec4f();
  for (var start = first_seen(count); start < count; start += WORKGROUP) {
    let t = start + lane;
    var s = -3.0e38;
    if (t < count) {
      s = cached_score(q, head_at(seen_row(place, t), kv_head));
    }
    let above = max(highest, reduce_max(s, lane));
    let shrink = exp(highest - above);
    let weight = select(0.0, exp(s - above), t < count);
    highest = above;
    total = total * shrink + weight;
    sum *= shrink;
    weights[lane] = weight;
    workgroupBarrier();
    if (team < teams) {
      for (var i = team; i < min(WORKGROUP, count - start); i += teams) {
        sum += weights[i] * values[head_at(seen_row(place, start + i), kv_head) + vector];
      }
    }
    workgroupBarrier();
  }
  shares[lane] = sum;
  let own_weight = exp(own_weight_log - highest);
  let all = reduce_sum(total, lane) + own_weight;
  workgroupBarrier();
  if (lane >= HEAD_VECTORS) {
    return;
  }
  var result = own_weight * value[own + lane];
  for (var i = 0u; i < teams; i++) {
    result += shares[i * HEAD_VECTORS + lane];
  }
  y[q + lane] = result / all;
  if (head % shared_by() == 0u) {
    store(place, kv_head, lane, own);
  }
}
