// The input of a generation step: each live sequence's last token, at first its prompt's, and its position.

#include "lib/chosen-tokens.wgsl"
#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  vocabulary: u32,
  step: u32,
  slots: u32,
  ring: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> places: array<Place>; // (rows)
@group(0) @binding(2) var<storage, read> tokens: array<u32>; // (ring, slots)
@group(0) @binding(3) var<storage, read_write> ids: array<u32>; // (rows)
@group(0) @binding(4) var<storage, read_write> positions: array<u32>; // (rows)

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups) * WORKGROUP + lane;
  if (row >= params.rows) {
    return;
  }
  let place = places[row];
  ids[row] = min(input_token(place), params.vocabulary - 1u);
  positions[row] = position_of(place, params.step);
}
