// Layer normalization (Ba et al. 2016): y = (x − mean) · rstd · weight + bias, rstd = 1 / sqrt(variance + eps). Threads and
// rows as in rms-norm.wgsl. Mean and rstd (rows, 2) are stored for the backward pass.

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
@group(0) @binding(3) var<storage, read> bias: array<f32>; // (cols)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (rows, cols)
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>; // (rows): mean, rstd
@group(0) @binding(6) var<storage, read> dy: array<f32>; // (rows, cols)
@group(0) @binding(7) var<storage, read> saved_stats: array<vec2f>; // (rows)
@group(0) @binding(8) var<storage, read_write> dx: array<f32>; // (rows, cols)
@group(0) @binding(9) var<storage, read_write> dweight: array<f32>; // (cols)

const ROWS: u32 = 1; // above 1 only if WORKGROUP is 1

@compute @workgroup_size(WORKGROUP, ROWS)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
) {
  // All threads take part in the sums, so a row past the end counts as a row without columns.
  let row = linear_group(group, groups) * ROWS + thread.y;
  let lane = thread.x;
  let cols = select(0u, params.cols, row < params.rows);
  let start = row * params.cols;
  var sum = 0.0;
  for (var i = lane; i < cols; i += WORKGROUP) {
    sum += x[start + i];
  }
  let mean = reduce_sum(sum, lane) / f32(params.cols);
  // A second pass: the difference of two large sums would lose the variance of rows far from zero.
  var squares = 0.0;
  for (var i = lane; i < cols; i += WORKGROUP) {
    let centred = x[start + i] - mean;
    squares += centred * centred;
  }
  let rstd = inverseSqrt(reduce_sum(squares, lane) / f32(params.cols) + params.eps);
  for (var i = lane; i < cols; i += WORKGROUP) {
    y[start + i] = (x[start + i] - mean) * rstd * weight[i] + bias[i];
  }
  if (lane == 0u && cols > 0u) {
    stats[row] = vec2f(mean, rstd);
  }
}

// dx = rstd · (g − mean(g) − x̂ · mean(g · x̂)) with g = w · dy and x̂ = (x − mean) · rstd
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
  let s = saved_stats[min(row, params.rows - 1u)];
  var sum = 0.0;
  var products = 0.0;
  for (var i = lane; i < cols; i += WORKGROUP) {
    let g = weight[i] * dy[start + i];
    sum += g;
    products += g * (x[start + i] - s.x) * s.y;
  }
  let mean = reduce_sum(sum, lane) / f32(params.cols);
  let pull = reduce_sum(products, lane) / f32(params.cols);
  for (var i = lane; i < cols; i += WORKGROUP) {
    var gradient = s.y * (weight[i] * dy[start + i] - mean - (x[start + i] - s.x) * s.y * pull);
    if (params.accumulate == 1u) {
      gradient += dx[start + i];
    }
    dx[start + i] = gradient;
  }
}

// dweight[i] = Σ over rows of dy · x̂. One thread per column, rows in order. The bias has its own kernel.
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
    sum += dy[at] * (x[at] - saved_stats[row].x) * saved_stats[row].y;
  }
  if (params.accumulate == 1u) {
    sum += dweight[column];
  }
  dweight[column] = sum;
}
