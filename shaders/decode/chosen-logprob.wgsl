// The log-probability of each live sequence's newest token under the model itself: the log-softmax of the original logits,
// whatever distribution the token was sampled from. One workgroup per row. A row without a token is skipped.

#include "lib/chosen-tokens.wgsl"
#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  first_row: u32,
  cols: u32, // tokens of the vocabulary
  stride: u32,
  step: u32,
  slots: u32,
  ring: u32,
}

@group(0) @binding(0) var<uniform> params: Params; // first_row: their first row in places; stride: their row stride
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, stride)
@group(0) @binding(2) var<storage, read> places: array<Place>; // (live rows)
@group(0) @binding(3) var<storage, read> tokens: array<u32>; // (ring, slots)
@group(0) @binding(4) var<storage, read_write> logprobs: array<f32>; // (ring, slots)

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
  let start = row * params.stride;
  let state = online_row(start, params.cols, lane);
  let at = chosen_at(places[params.first_row + row], params.step);
  let token = tokens[at];
  if (lane == 0u && token < params.cols) {
    logprobs[at] = online_logprob(state, logits[start + token]);
  }
}
