// A range of columns of a matrix, and its gradient for the same range.

#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  cols: u32, // in the range
  first: u32,
  stride: u32, // columns of the whole matrix
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (rows, stride)
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (rows, cols)
@group(0) @binding(3) var<storage, read> dy: array<f32>; // (rows, cols)
@group(0) @binding(4) var<storage, read_write> dx: array<f32>; // (rows, stride)

const WORKGROUP: u32 = 64;

fn place(id: u32) -> u32 {
  return id / params.cols * params.stride + params.first + id % params.cols;
}

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id < params.rows * params.cols) {
    y[id] = x[place(id)];
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  if (id >= params.rows * params.cols) {
    return;
  }
  var gradient = dy[id];
  if (params.accumulate == 1u) {
    gradient += dx[place(id)];
  }
  dx[place(id)] = gradient;
}
