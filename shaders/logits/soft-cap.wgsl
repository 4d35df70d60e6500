// The soft cap of logits, in place, and the mean of a row's capped logits over the vocabulary, to which each strip adds its
// part. One workgroup per row. NaN and infinities are not changed: an overflow upstream must be visible.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"
#include "lib/row-share.wgsl"
#include "lib/soft-cap.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  stride: u32, // row stride
  cap: f32,
  share: f32, // weight of a logit in the mean
  accumulate: u32, // 1: add to the means
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<u32>; // (rows, stride), as bits
@group(0) @binding(2) var<storage, read_write> means: array<f32>; // (rows)

alias Capped = f32;
const EXPONENT: u32 = 0x7f800000u; // the exponent bits: all set in −∞, +∞ and NaN, in no finite number

// The sum of the thread's capped logits.
fn cap_share(row: u32, lane: u32) -> f32 {
  let share = share_of(params.cols, lane);
  var sum = 0.0;
  for (var i = share.first; i < share.end; i += TEAM) {
    let at = row * params.stride + i;
    let bits = logits[at];
    if ((bits & EXPONENT) != EXPONENT) {
      let capped = soft_capped(bitcast<f32>(bits), params.cap);
      logits[at] = bitcast<u32>(capped);
      sum += capped;
    }
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row < params.rows) {
    cap_share(row, lane);
  }
}

@compute @workgroup_size(WORKGROUP)
fn forward_mean(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  var mean = params.share * reduce_sum(cap_share(row, lane), lane);
  if (lane > 0u) {
    return;
  }
  if (params.accumulate == 1u) {
    mean += means[row];
  }
  means[row] = mean;
}
