// Attention of one new token per sequence to the tokens before it (lib/decode-attention.wgsl). A thread owns 16 coordinates of
// one head, in named registers, and no thread waits for another.

#include "lib/decode-attention.wgsl"
#include "lib/dispatch.wgsl"

// State of the softmax, and the weighted sums.
struct Walk {
  highest: f32,
  total: f32,
  y0: vec4f,
  y1: vec4f,
  y2: vec4f,
  y3: vec4f,
}

// A last part with fewer than four vectors reads the last one again and never stores it.
fn vectors_of(part: Part) -> vec4u {
  return min(part.first + vec4u(0u, 1u, 2u, 3u), vec4u(LAST));
}

// The token sees itself, so the softmax starts from there.
fn begin(part: Part) -> Walk {
  let at = part.own + vectors_of(part);
  let score = own_score(part.row_head * HEAD_VECTORS, part.own);
  return Walk(score, 1.0, own_value(at.x), own_value(at.y), own_value(at.z), own_value(at.w));
}

fn go_through(walk: ptr<function, Walk>, part: Part, first: u32, end: u32) {
  let q = part.row_head * HEAD_VECTORS;
  let vectors = vectors_of(part);
  // Four vectors of the query stay in registers, which halves the time of a narrow head on the CPU.
  let q0 = query[q];
  let q1 = select(vec4f(), query[q + min(1u, LAST)], HEAD_VECTORS > 1);
  let q2 = select(vec4f(), query[q + min(2u, LAST)], HEAD_VECTORS > 2);
  let q3 = select(vec4f(), query[q + min(3u, LAST)], HEAD_VECTORS > 3);
  for (var t = first; t < end; t++) {
    let k = head_at(seen_row(part.place, t), part.kv_head);
    var s = dot(q0, keys[k]) + dot(q1, keys[k + min(1u, LAST)]);
    s += dot(q2, keys[k + min(2u, LAST)]) + dot(q3, keys[k + min(3u, LAST)]);
    for (var i = 4u; i < HEAD_VECTORS; i++) {
      s += dot(query[q + i], keys[k + i]);
    }
    s = score_of(s);
    let above = max((*walk).highest, s);
    let shrink = exp((*walk).highest - above);
    let weight = exp(s - above);
    (*walk).highest = above;
    (*walk).total = (*walk).total * shrink + weight;
    (*walk).y0 = (*walk).y0 * shrink + weight * values[k + vectors.x];
    (*walk).y1 = (*walk).y1 * shrink + weight * values[k + vectors.y];
    (*walk).y2 = (*walk).y2 * shrink + weight * values[k + vectors.z];
    (*walk).y3 = (*walk).y3 * shrink + weight * values[k + vectors.w];
  }
}

// Stores the sums, multiplied by a factor.
fn keep(part: Part, walk: Walk, factor: f32) {
  let at = part.row_head * HEAD_VECTORS + part.first;
  y[at] = walk.y0 * factor;
  if (part.first + 1u < HEAD_VECTORS) {
    y[at + 1u] = walk.y1 * factor;
  }
  if (part.first + 2u < HEAD_VECTORS) {
    y[at + 2u] = walk.y2 * factor;
  }
  if (part.first + 3u < HEAD_VECTORS) {
    y[at + 3u] = walk.y3 * factor;
  }
}

fn conclude(part: Part, walk: Walk) {
  keep(part, walk, 1.0 / walk.total);
  if (part.row_head % shared_by() == 0u) {
    store(part.place, part.kv_head, part.first, part.own);
    store(part.place, part.kv_head, part.first + 1u, part.own);
    store(part.place, part.kv_head, part.first + 2u, part.own);
    store(part.place, part.kv_head, part.first + 3u, part.own);
  }
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * 64u + lane;
  if (id >= params.rows * params.heads * PARTS) {
    return;
  }
  let part = part_of(id);
  var walk = begin(part);
  go_through(&walk, part, first_seen(part.count), part.count);
  conclude(part, walk);
}

@compute @workgroup_size(64)
fn forward_piece(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * 64u + lane;
  if (id >= params.rows * params.heads * PARTS) {
    return;
  }
  let part = part_of(id);
  let first = first_seen(part.count);
  var walk = begin(part);
  if (params.start > 0u) {
    if (first + params.start >= part.count) {
      return;
    }
    let at = part.row_head * HEAD_VECTORS + vectors_of(part);
    walk = Walk(states[id].x, states[id].y, y[at.x], y[at.y], y[at.z], y[at.w]);
  }
  go_through(&walk, part, first + params.start, min(first + params.stop, part.count));
  if (first + params.stop < part.count) {
    states[id] = vec4f(walk.highest, walk.total, 0.0, 0.0);
    keep(part, walk, 1.0);
  } else {
    conclude(part, walk);
  }
}
