// Root-mean-square normalization (Zhang and Sennrich 2019): y = x · rstd · weight, rstd = 1 / sqrt(mean(x²) + eps). If the
// weight is an offset (Gemma), 1 + weight is used. WORKGROUP threads share a row and a workgroup processes ROWS of them:
// one row with many threads on a GPU, many rows with one thread on a software adapter. rstd (rows) is stored for the
// backward pass.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (rows, cols)
@group(0) @binding(2) var<storage, read> weight: array<f32>; // (cols)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (rows, cols)
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>; // (rows)
@group(0) @binding(5) var<storage, read> dy: array<f32>; // (rows, cols)
@group(0) @binding(6) var<storage, read> saved_rstd: array<f32>; // (rows)
@group(0) @binding(7) var<storage, read_write> dx: array<f32>; // (rows, cols)
@group(0) @binding(8) var<storage, read_write> dweight: array<f32>; // (cols)

const ROWS: u32 = 1; // above 1 only if WORKGROUP is 1
const OFFSET: bool = false;

fn gain(i: u32) -> f32 {
  if (OFFSET) {
    return 1.0 + weight[i];
  }
  return weight[i];
}

@compute @workgroup_size(WORKGROUP, ROWS)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
) {
  // All threads take part in the sum, so a row past the end counts as a row without columns.
  let row = linear_group(group, groups) * ROWS + thread.y;
  let lane = thread.x;
  let cols = select(0u, params.cols, row < params.rows);
  let start = row * params.cols;
  var squares = 0.0;
  for (var i = lane; i < cols; i += WORKGROUP) {
    let value = x[start + i];
    squares += value * value;
  }
  let inverse = inverseSqrt(reduce_sum(squares, lane) / f32(params.cols) + params.eps);
  for (var i = lane; i < cols; i += WORKGROUP) {
    y[start + i] = x[start + i] * inverse * gain(i);
  }
  if (lane == 0u && cols > 0u) {
    rstd[row] = inverse;
  }
}

// dx = rstd · (w·dy − x · rstd² · mean(w·dy·x))
@compute @workgroup_size(WORKGROUP, ROWS)
fn backward_input(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
) {
  let row = linear_group(group, groups) * ROWS + thread.y;
  let lane = thread.x;
  let cols = select(0u, params.cols, row < params.rows);
  let start = row * params.cols;
  var products = 0.0;
  for (var i = lane; i < cols; i += WORKGROUP) {
    products += gain(i) * dy[start + i] * x[start + i];
  }
  let inverse = saved_rstd[row];
  let pull = reduce_sum(products, lane) / f32(params.cols) * inverse * inverse;
  for (var i = lane; i < cols; i += WORKGROUP) {
    var gradient = inverse * (gain(i) * dy[start + i] - x[start + i] * pull);
    if (params.accumulate == 1u) {
      gradient += dx[start + i];
    }
    dx[start + i] = gradient;
  }
}

// dweight[i] = Σ over rows of dy · x · rstd. One thread per column, rows in order.
@compute @workgroup_size(WORKGROUP)
fn backward_weight(
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
    let at = row * params.cols + column;
    sum += dy[at] * x[at] * saved_rstd[row];
  }
  if (params.accumulate == 1u) {
    sum += dweight[column];
  }
  dweight[column] = sum;
}
