// The L2 norm of all gradients and the factor that clips it, as in torch.nn.utils.clip_grad_norm_: min(1, max_norm / (norm
// + 1e-6)). Two passes with a fixed split, so that the sum is deterministic. A norm that is not finite gives the factor −1,
// at which the optimizer does not change the weights.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  count: u32,
  chunks: u32,
  max_norm: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<f32>; // (count)
@group(0) @binding(2) var<storage, read_write> partials: array<f32>; // (chunks)
@group(0) @binding(3) var<storage, read> chunk_sums: array<f32>; // (chunks)
@group(0) @binding(4) var<storage, read_write> clip: array<f32>; // (2): norm, factor

@compute @workgroup_size(WORKGROUP)
fn sum_chunks(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let chunk = linear_group(group, groups);
  if (chunk >= params.chunks) {
    return;
  }
  let length = (params.count + params.chunks - 1u) / params.chunks;
  let end = min((chunk + 1u) * length, params.count);
  var squares = 0.0;
  for (var i = chunk * length + lane; i < end; i += WORKGROUP) {
    squares += gradients[i] * gradients[i];
  }
  let total = reduce_sum(squares, lane);
  if (lane == 0u) {
    partials[chunk] = total;
  }
}

@compute @workgroup_size(WORKGROUP)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var squares = 0.0;
  for (var i = lane; i < params.chunks; i += WORKGROUP) {
    squares += chunk_sums[i];
  }
  let norm = sqrt(reduce_sum(squares, lane));
  if (lane == 0u) {
    let finite = (bitcast<u32>(norm) & 0x7f800000u) != 0x7f800000u;
    clip[0] = norm;
    clip[1] = select(-1.0, min(1.0, params.max_norm / (norm + 1e-6)), finite);
  }
}
