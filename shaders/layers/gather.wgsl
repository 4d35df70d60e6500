// Gathers rows of a table by index: token embeddings, and the hidden states that are scored. Backward, every row of the
// table sums the gradients of the positions that read it, listed in order by the inverse of the index, so that no atomics
// are needed and the sum is deterministic. Some models scale their embedding (Gemma). A table that exceeds a binding is
// processed in blocks of rows. A file of formats/ reads its storage format.

#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  start: u32, // the first bound row of the table
  count: u32, // number of bound rows
  scale: f32,
  accumulate: u32,
  skipped: u32, // readers of each row that earlier dispatches summed
  most: u32, // readers of a row that this dispatch may sum
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<Packed>; // (count, cols): rows of the table
@group(0) @binding(2) var<storage, read> indices: array<u32>; // (rows)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (rows, cols)
@group(0) @binding(4) var<storage, read> dy: array<f32>; // (rows, cols)
@group(0) @binding(5) var<storage, read> offsets: array<u32>; // (T + 1): where each table row's readers start
@group(0) @binding(6) var<storage, read> entries: array<u32>; // readers, ascending
@group(0) @binding(7) var<storage, read_write> dtable: array<f32>; // (count, cols)

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id >= params.rows * params.cols) {
    return;
  }
  let row = indices[id / params.cols] - params.start; // wraps to a large number below the start
  if (row < params.count) {
    y[id] = params.scale * weight1(row * params.cols + id % params.cols);
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id >= params.count * params.cols) {
    return;
  }
  let row = params.start + id / params.cols;
  let column = id % params.cols;
  let begin = min(offsets[row] + params.skipped, offsets[row + 1u]);
  let end = min(begin + params.most, offsets[row + 1u]);
  if (params.skipped > 0u && begin == end) {
    return;
  }
  var sum = 0.0;
  for (var e = begin; e < end; e++) {
    sum += dy[entries[e] * params.cols + column];
  }
  sum *= params.scale;
  if (params.accumulate == 1u) {
    sum += dtable[id];
  }
  dtable[id] = sum;
}
