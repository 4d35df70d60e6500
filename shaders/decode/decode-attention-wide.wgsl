// The attention of decode-attention.wgsl with one workgroup per head of at most 256 coordinates. Its threads first split the
// keys, then the coordinates. For long contexts on a GPU.

#include "lib/decode-attention.wgsl"
#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

var<workgroup> weights: array<f32, WORKGROUP>; // of a tile of keys
var<workgroup> shares: array<vec4f, WORKGROUP>; // of a head's coordinates, from every team

// State of the softmax: this thread's part of the weights, without the token itself, and of the weighted sums.
struct Walk {
  own: f32, // score
  highest: f32,
  total: f32,
  sum: vec4f,
}

// A team has a thread for each vector of the head; the teams take turns at the keys of a tile.
const TEAMS = WORKGROUP / HEAD_VECTORS;

fn cached_score(q: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(query[q + i], keys[k + i]);
  }
  return score_of(sum);
}

fn begin(part: Part) -> Walk {
  let own = own_score(part.row_head * HEAD_VECTORS, part.own);
  return Walk(own, own, 0.0, vec4f());
}

fn go_through(walk: ptr<function, Walk>, part: Part, first: u32, end: u32, lane: u32) {
  let q = part.row_head * HEAD_VECTORS;
  let team = lane / HEAD_VECTORS;
  let vector = lane % HEAD_VECTORS;
  for (var start = first; start < end; start += WORKGROUP) {
    let t = start + lane;
    var s = -3.0e38;
    if (t < end) {
      s = cached_score(q, head_at(seen_row(part, t), part.kv_head));
    }
    let above = max((*walk).highest, reduce_max(s, lane));
    let shrink = exp((*walk).highest - above);
    let weight = select(0.0, exp(s - above), t < end);
    (*walk).highest = above;
    (*walk).total = (*walk).total * shrink + weight;
    (*walk).sum *= shrink;
    weights[lane] = weight;
    workgroupBarrier();
    if (team < TEAMS) {
      for (var i = team; i < min(WORKGROUP, end - start); i += TEAMS) {
        (*walk).sum += weights[i] * values[head_at(seen_row(part, start + i), part.kv_head) + vector];
      }
    }
    workgroupBarrier();
  }
}

fn conclude(part: Part, walk: Walk, lane: u32) {
  shares[lane] = walk.sum;
  let q = part.row_head * HEAD_VECTORS;
  let own_weight = exp(walk.own - walk.highest);
  let all = reduce_sum(walk.total, lane) + own_weight;
  workgroupBarrier();
  if (lane >= HEAD_VECTORS) {
    return;
  }
  var result = own_weight * own_value(part.own + lane);
  for (var i = 0u; i < TEAMS; i++) {
    result += shares[i * HEAD_VECTORS + lane];
  }
  y[q + lane] = result / all;
  if (part.row_head % shared_by() == 0u) {
    store(part, lane);
  }
}

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row_head = linear_group(group, groups);
  if (row_head >= params.rows * params.heads) {
    return;
  }
  let part = part_of(row_head);
  var walk = begin(part);
  go_through(&walk, part, first_seen(part.count), part.count, lane);
  conclude(part, walk, lane);
}

@compute @workgroup_size(WORKGROUP)
fn forward_piece(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row_head = linear_group(group, groups);
  if (row_head >= params.rows * params.heads) {
    return;
  }
  let part = part_of(row_head);
  let first = first_seen(part.count);
  let at = 2u * (row_head * WORKGROUP + lane);
  var walk = begin(part);
  if (params.start > 0u) {
    if (first + params.start >= part.count) {
      return;
    }
    walk = Walk(walk.own, states[at].x, states[at].y, states[at + 1u]);
  }
  go_through(&walk, part, first + params.start, min(first + params.stop, part.count), lane);
  if (first + params.stop < part.count) {
    states[at] = vec4f(walk.highest, walk.total, 0.0, 0.0);
    states[at + 1u] = walk.sum;
  } else {
    conclude(part, walk, lane);
  }
}
