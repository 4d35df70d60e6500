// The input of a generation step: the embedding of each live sequence's last token, at first of its prompt's. A file of formats/ reads the embedding.

#include "lib/chosen-tokens.wgsl"
#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  cols: u32,
  vocabulary: u32,
  step: u32,
  slots: u32,
  ring: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> places: array<Place>; // (rows)
@group(0) @binding(2) var<storage, read> tokens: array<u32>; // (ring, slots)
@group(0) @binding(3) var<storage, read> weights: array<Packed>; // (vocabulary, cols)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (rows, cols)

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let row = id / params.cols;
  if (row >= params.rows) {
    return;
  }
  let token = input_token(places[row]);
  // A row without a distribution has no valid token.
  let index = min(token, params.vocabulary - 1u);
  y[id] = weight1(index * params.cols + id % params.cols) * params.scale;
}
