// The repetition penalty of transformers' `generate`, in place: the logit of every token that occurs in a sequence or its
// prompt is divided by the penalty, or multiplied if it is negative; only once, however often the token occurs.
//
// One thread per token of each row's sequence. The thread that first marks a token as seen changes its logit.

#include "lib/chosen-tokens.wgsl"
#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  first_row: u32,
  vocabulary: u32,
  stride: u32,
  step: u32,
  slots: u32,
  ring: u32,
  span: u32,
  words: u32,
  penalty: f32,
}

@group(0) @binding(0) var<uniform> params: Params; // first_row: their first row in places; stride: their row stride; span: threads per row; words: 32 tokens each
@group(0) @binding(1) var<storage, read> places: array<Place>; // (live rows)
@group(0) @binding(2) var<storage, read> prompts: array<u32>; // ids of the prompts, by cache row
@group(0) @binding(3) var<storage, read> tokens: array<u32>; // (ring, slots)
@group(0) @binding(4) var<storage, read_write> seen: array<atomic<u32>>; // (rows, words), one bit per token, initially 0
@group(0) @binding(5) var<storage, read_write> logits: array<f32>; // (rows, stride)

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = linear_group(group, groups) * WORKGROUP + lane;
  let row = thread / params.span;
  if (row >= params.rows) {
    return;
  }
  let index = thread % params.span;
  let place = places[params.first_row + row];
  let prompt = place.prompt_end - place.prompt;
  if (index >= prompt + age_of(place, params.step)) {
    return;
  }
  var token = 0u;
  if (index < prompt) {
    token = prompts[place.prompt + index];
  } else {
    token = tokens[chosen_at(place, place.start + index - prompt)];
  }
  // A row without a distribution has no valid token.
  if (token >= params.vocabulary) {
    return;
  }
  let bit = 1u << (token % 32u);
  if ((atomicOr(&seen[row * params.words + token / 32u], bit) & bit) != 0u) {
    return;
  }
  let at = row * params.stride + token;
  let logit = logits[at];
  logits[at] = select(logit / params.penalty, logit * params.penalty, logit < 0.0);
}
