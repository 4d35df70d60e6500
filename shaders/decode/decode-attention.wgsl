// Attention of one new token per sequence to the tokens before it (lib/decode-attention.wgsl). A thread owns 32 coordinates of
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
  y4: vec4f,
  y5: vec4f,
  y6: vec4f,
  y7: vec4f,
}

// A last part with fewer than eight vectors reads the last one again and never stores it.
fn vectors_of(part: Part) -> vec4u {
  return min(part.first + vec4u(0u, 1u, 2u, 3u), vec4u(LAST));
}

fn more_vectors_of(part: Part) -> vec4u {
  return min(part.first + vec4u(4u, 5u, 6u, 7u), vec4u(LAST));
}

// The token sees itself, so the softmax starts from there.
fn begin(part: Part) -> Walk {
  let at = part.own + vectors_of(part);
  let more = part.own + more_vectors_of(part);
  let score = own_score(part.row_head * HEAD_VECTORS, part.own);
  var walk = Walk(score, 1.0, vec4f(), vec4f(), vec4f(), vec4f(), vec4f(), vec4f(), vec4f(), vec4f());
  walk.y0 = own_value(at.x);
  walk.y1 = own_value(at.y);
  walk.y2 = own_value(at.z);
  walk.y3 = own_value(at.w);
  if (HEAD_VECTORS > 4) {
    walk.y4 = own_value(more.x);
    walk.y5 = own_value(more.y);
    walk.y6 = own_value(more.z);
    walk.y7 = own_value(more.w);
  }
  return walk;
}

fn go_through(walk: ptr<function, Walk>, part: Part, first: u32, end: u32) {
  let q = part.row_head * HEAD_VECTORS;
  let vectors = vectors_of(part);
  let more = more_vectors_of(part);
  // Eight vectors of the query stay in registers, which halves the time of a narrow head on the CPU.
  let q0 = query[q];
  let q1 = select(vec4f(), query[q + min(1u, LAST)], HEAD_VECTORS > 1);
  let q2 = select(vec4f(), query[q + min(2u, LAST)], HEAD_VECTORS > 2);
  let q3 = select(vec4f(), query[q + min(3u, LAST)], HEAD_VECTORS > 3);
  let q4 = query[q + min(4u, LAST)];
  let q5 = query[q + min(5u, LAST)];
  let q6 = query[q + min(6u, LAST)];
  let q7 = query[q + min(7u, LAST)];
  for (var t = first; t < end; t++) {
    let k = head_at(seen_row(part, t), part.kv_head);
    var s = dot(q0, keys[k]) + dot(q1, keys[k + min(1u, LAST)]);
    s += dot(q2, keys[k + min(2u, LAST)]) + dot(q3, keys[k + min(3u, LAST)]);
    if (HEAD_VECTORS > 4) {
      s += dot(q4, keys[k + 4u]);
    }
    if (HEAD_VECTORS > 5) {
      s += dot(q5, keys[k + 5u]);
    }
    if (HEAD_VECTORS > 6) {
      s += dot(q6, keys[k + 6u]);
    }
    if (HEAD_VECTORS > 7) {
      s += dot(q7, keys[k + 7u]);
    }
    for (var i = 8u; i < HEAD_VECTORS; i++) {
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
    if (HEAD_VECTORS > 4) {
      (*walk).y4 = (*walk).y4 * shrink + weight * values[k + more.x];
      (*walk).y5 = (*walk).y5 * shrink + weight * values[k + more.y];
      (*walk).y6 = (*walk).y6 * shrink + weight * values[k + more.z];
      (*walk).y7 = (*walk).y7 * shrink + weight * values[k + more.w];
    }
  }
}

fn keep_vector(part: Part, vector: u32, sum: vec4f) {
  if (part.first + vector < HEAD_VECTORS) {
    y[part.row_head * HEAD_VECTORS + part.first + vector] = sum;
  }
}

// Stores the sums, multiplied by a factor.
fn keep(part: Part, walk: Walk, factor: f32) {
  keep_vector(part, 0u, walk.y0 * factor);
  keep_vector(part, 1u, walk.y1 * factor);
  keep_vector(part, 2u, walk.y2 * factor);
  keep_vector(part, 3u, walk.y3 * factor);
  keep_vector(part, 4u, walk.y4 * factor);
  keep_vector(part, 5u, walk.y5 * factor);
  keep_vector(part, 6u, walk.y6 * factor);
  keep_vector(part, 7u, walk.y7 * factor);
}

fn conclude(part: Part, walk: Walk) {
  keep(part, walk, 1.0 / walk.total);
  if (part.row_head % shared_by() == 0u) {
    for (var vector = 0u; vector < 8u; vector++) {
      store(part, part.first + vector);
    }
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
    let more = part.row_head * HEAD_VECTORS + more_vectors_of(part);
    walk = Walk(states[id].x, states[id].y, y[at.x], y[at.y], y[at.z], y[at.w], y[more.x], y[more.y], y[more.z], y[more.w]);
  }
  go_through(&walk, part, first + params.start, min(first + params.stop, part.count));
  if (first + params.stop < part.count) {
    states[id] = vec4f(walk.highest, walk.total, 0.0, 0.0);
    keep(part, walk, 1.0);
  } else {
    conclude(part, walk);
  }
}
