// Gives the rows of finished sequences to those that wait, in their order, before a step: the first of the rows gets the first
// that waits. The device decides, so that a row is not idle until the host has read its tokens; the host, which follows the
// tokens, comes to the same result. One workgroup; each thread processes a block of consecutive rows.

#include "lib/dispatch.wgsl"
#include "lib/ended.wgsl"
#include "lib/running-sum.wgsl"

struct Params {
  rows: u32,
  step: u32,
  slots: u32,
  ring: u32,
  longest: u32, // tokens after which a sequence ends
  copies: u32, // sequences per prompt
  ready: u32, // sequences whose prompts are in the cache
}

struct Prompt {
  first_row: u32, // cache rows [first_row, end_row)
  end_row: u32,
  last_token: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> places: array<Place>; // (rows)
@group(0) @binding(2) var<storage, read> tokens: array<u32>; // (ring, slots)
@group(0) @binding(3) var<storage, read> eos: array<u32>; // ids that end a sequence
@group(0) @binding(4) var<storage, read> prompts: array<Prompt>;
@group(0) @binding(5) var<storage, read_write> next: array<u32>; // (1): the next sequence that waits

fn is_free(row: u32) -> bool {
  let place = places[row];
  return params.step - place.start >= params.longest || has_ended(place);
}

@compute @workgroup_size(WORKGROUP)
fn refill(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  if (linear_group(group, groups) > 0u) {
    return;
  }
  let size = (params.rows + WORKGROUP - 1u) / WORKGROUP;
  let first = min(lane * size, params.rows);
  let end = min(first + size, params.rows);
  var free = 0.0;
  for (var row = first; row < end; row++) {
    free += select(0.0, 1.0, is_free(row));
  }
  let head = next[0];
  // The barriers in it separate the read of `next` from the write.
  let before = running_sum(free, lane);
  var sequence = head + u32(before.x);
  for (var row = first; row < end; row++) {
    if (sequence < params.ready && is_free(row)) {
      let prompt = prompts[sequence / params.copies];
      places[row].prompt = prompt.first_row;
      places[row].prompt_end = prompt.end_row;
      places[row].start = params.step;
      places[row].sequence = sequence;
      places[row].first = prompt.last_token;
      sequence++;
    }
  }
  if (lane == 0u) {
    next[0] = min(head + u32(before.y), max(head, params.ready));
  }
}
