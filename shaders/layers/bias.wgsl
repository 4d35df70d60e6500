// The bias of a linear layer. Forward, it fills the rows to which a product is added, if the product's epilogue does not
// add it; its gradient is the sum of dy over rows. One thread per column, rows in order.

#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  scale: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bias: array<f32>; // (cols)
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (rows, cols)
@group(0) @binding(3) var<storage, read> dy: array<f32>; // (rows, cols)
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>; // (cols)

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
  var value = params.scale * bias[id % params.cols];
  if (params.accumulate == 1u) {
    value += y[id];
  }
  y[id] = value;
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let column = linear_group(group, groups) * WORKGROUP + lane;
  if (column >= params.cols) {
    return;
  }
  var sum = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    sum += dy[row * params.cols + column];
  }
  sum *= params.scale;
  if (params.accumulate == 1u) {
    sum += dbias[column];
  }
  dbias[column] = sum;
}
