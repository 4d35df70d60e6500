// Expectation of given values under the rows of a logits buffer (N, V), E = Σ p v with p = softmax(z), one workgroup per
// row, and its gradient dlogits = dexpectation · p (v − E). The values are constants without a gradient.
//
// Sums run over v − v₀, where v₀ is the value of the most likely entry, so that a constant in the values costs no
// precision. Masked entries (−∞) contribute nothing, whatever their value. A value of −∞ at an entry that is not masked
// makes the row −∞, with gradient 0. A fully masked row has expectation 0 and gradient 0.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
}

// The values of a row that the gradient needs.
struct Expected {
  largest: f32, // largest logit
  inverse: f32, // 1 / Σ e^(z − largest); 0 if there is no gradient
  pivot: f32, // v₀
  mean: f32, // E − v₀
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols)
@group(0) @binding(2) var<storage, read> values: array<u32>; // (rows, cols)
@group(0) @binding(3) var<storage, read_write> expectation: array<u32>; // (rows)
@group(0) @binding(4) var<storage, read_write> states: array<Expected>; // (rows, 4)
@group(0) @binding(5) var<storage, read> saved_states: array<Expected>; // (rows, 4)
@group(0) @binding(6) var<storage, read> dexpectation: array<f32>; // (rows)
@group(0) @binding(7) var<storage, read_write> dlogits: array<f32>; // (rows, cols)

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.cols;
  let share = share_of(params.cols, lane);
  let state = online_row(start, params.cols, lane);
  let pivot_bits = select(values[start + state.arg], 0u, state.sum == 0.0);
  let pivot = bitcast<f32>(select(pivot_bits, 0u, pivot_bits == MASKED));
  var total = 0.0;
  var outside = 0.0;
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var sum = 0.0;
    let end = min(share.end, block + BLOCK * TEAM);
    for (var i = block; i < end; i += TEAM) {
      let bits = logits[start + i];
      if (bits == MASKED) {
        continue;
      }
      if (values[start + i] == MASKED) {
        outside += 1.0;
      } else {
        sum += online_weight(state, bits) * (bitcast<f32>(values[start + i]) - pivot);
      }
    }
    total += sum;
  }
  let inverse = online_inverse(state);
  let mean = reduce_sum(total, lane) * inverse;
  let is_infinite = reduce_sum(outside, lane) > 0.0;
  if (lane == 0u) {
    states[row] = Expected(state.largest, select(inverse, 0.0, is_infinite), pivot, mean);
    expectation[row] = select(bitcast<u32>(pivot + mean), MASKED, is_infinite);
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.cols;
  let share = share_of(params.cols, lane);
  let state = saved_states[row];
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = logits[start + i];
    var gradient = 0.0;
    if (bits != MASKED && values[start + i] != MASKED) {
      let p = exp(bitcast<f32>(bits) - state.largest) * state.inverse;
      gradient = dexpectation[row] * p * (bitcast<f32>(values[start + i]) - state.pivot - state.mean);
    }
    if (params.accumulate == 1u) {
      gradient += dlogits[start + i];
    }
    dlogits[start + i] = gradient;
  }
}
