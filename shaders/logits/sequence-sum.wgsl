// Sums of token log-probabilities per sequence, one workgroup per sequence: sums[s] = Σ logprobs[offsets[s] … offsets[s +
// 1]). The order of a sum depends only on its sequence, so packing does not change it. A log-probability of −∞ makes its
// sum −∞. Tokens beyond the length of the sequence's partner have the weight `tail`; at 1 there are no partners.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  sequences: u32,
  accumulate: u32,
  tail: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logprobs: array<f32>; // (R)
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // (sequences + 1)
@group(0) @binding(3) var<storage, read_write> sums: array<f32>; // (sequences)
@group(0) @binding(4) var<storage, read> dsums: array<f32>; // (sequences)
@group(0) @binding(5) var<storage, read_write> dlogprobs: array<f32>; // (R)

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = linear_group(group, groups);
  if (sequence >= params.sequences) {
    return;
  }
  let shared_end = end_of_shared(sequence);
  var part = 0.0;
  for (var i = offsets[sequence] + lane; i < offsets[sequence + 1u]; i += WORKGROUP) {
    part += logprobs[i] * select(params.tail, 1.0, i < shared_end);
  }
  let sum = reduce_sum(part, lane);
  if (lane == 0u) {
    sums[sequence] = sum;
  }
}

// Every row of a sequence gets the gradient of its sum, times the row's weight.
@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let sequence = linear_group(group, groups);
  if (sequence >= params.sequences) {
    return;
  }
  let shared_end = end_of_shared(sequence);
  for (var i = offsets[sequence] + lane; i < offsets[sequence + 1u]; i += WORKGROUP) {
    var gradient = dsums[sequence] * select(params.tail, 1.0, i < shared_end);
    if (params.accumulate == 1u) {
      gradient += dlogprobs[i];
    }
    dlogprobs[i] = gradient;
  }
}

// The end of the rows with full weight: as many as the partner has.
fn end_of_shared(sequence: u32) -> u32 {
  let start = offsets[sequence];
  let end = offsets[sequence + 1u];
  if (params.tail == 1.0) {
    return end;
  }
  let partner = sequence ^ 1u;
  return min(end, start + offsets[partner + 1u] - offsets[partner]);
}
