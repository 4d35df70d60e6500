// AdamW (Loshchilov and Hutter 2019), in the order of torch.optim.AdamW. Gradients are scaled by the clipping factor; a
// negative factor means that they are not finite, and nothing changes.

#include "lib/dispatch.wgsl"

struct Params {
  count: u32,
  learning_rate: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weight_decay: f32,
  // 1 − beta1^t and sqrt(1 − beta2^t), from the host in float64
  correction1: f32,
  correction2_root: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> first_moments: array<f32>;
@group(0) @binding(4) var<storage, read_write> second_moments: array<f32>;
@group(0) @binding(5) var<storage, read> clip: array<f32>; // (2): norm, factor

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn step(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = linear_group(group, groups) * WORKGROUP + lane;
  let factor = clip[1];
  if (i >= params.count || factor < 0.0) {
    return;
  }
  let gradient = gradients[i] * factor;
  let first = params.beta1 * first_moments[i] + (1.0 - params.beta1) * gradient;
  let second = params.beta2 * second_moments[i] + (1.0 - params.beta2) * gradient * gradient;
  first_moments[i] = first;
  second_moments[i] = second;
  let denominator = sqrt(second) / params.correction2_root + params.epsilon;
  let decayed = values[i] * (1.0 - params.learning_rate * params.weight_decay);
  values[i] = decayed - params.learning_rate / params.correction1 * first / denominator;
}
