// Weighted preference optimization (Zhou et al. 2024, equation 2): the weight of a pair is w₊ w₋ with
//   w = exp(1/T Σ (log π(token) − log Σ p²)),
// so that pairs count by the policy's own probability of generating them, relative to its probability of repeating itself.
// Weights scale loss and derivative and have no gradient. `forward` weights the loss of each pair, one workgroup per pair;
// `backward` its derivative.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  pairs: u32,
  width: u32, // of a record
  loss: u32, // column of the loss
  weight: u32, // column of the weight
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logprobs: array<f32>; // (R)
@group(0) @binding(2) var<storage, read> stats: array<f32>; // (R, 3): the last is log Σ p²
@group(0) @binding(3) var<storage, read> offsets: array<u32>; // (2 pairs + 1)
@group(0) @binding(4) var<storage, read_write> records: array<f32>; // (pairs, width)
@group(0) @binding(5) var<storage, read> weighed_records: array<f32>; // the same, after forward
@group(0) @binding(6) var<storage, read_write> dsums: array<f32>; // (2 pairs)

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let pair = linear_group(group, groups);
  if (pair >= params.pairs) {
    return;
  }
  let chosen = mean_alignment(2u * pair, lane);
  let rejected = mean_alignment(2u * pair + 1u, lane);
  if (lane > 0u) {
    return;
  }
  let weight = exp(chosen + rejected);
  let start = pair * params.width;
  records[start + params.weight] = weight;
  records[start + params.loss] *= weight;
}

// One thread per completion.
@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = linear_group(group, groups) * WORKGROUP + lane;
  if (sequence < 2u * params.pairs) {
    dsums[sequence] *= weighed_records[(sequence / 2u) * params.width + params.weight];
  }
}

// 1/T Σ (log π(token) − log Σ p²); 0 for a completion without tokens.
fn mean_alignment(sequence: u32, lane: u32) -> f32 {
  let start = offsets[sequence];
  let end = offsets[sequence + 1u];
  var part = 0.0;
  for (var i = start + lane; i < end; i += WORKGROUP) {
    part += logprobs[i] - stats[3u * i + 2u];
  }
  return reduce_sum(part, lane) / f32(max(end - start, 1u));
}
