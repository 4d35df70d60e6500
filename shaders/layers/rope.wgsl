// Rotary positions (Su et al. 2021) in Hugging Face's order: coordinate j of a head rotates with coordinate j + pairs. If
// fewer pairs rotate than a head has, its coordinates from 2 · pairs are unchanged, two per thread. Cosines and sines come
// from a table computed on the host in float64, because WGSL's are imprecise for large angles. The gradient is the inverse
// rotation: direction −1.

#include "lib/dispatch.wgsl"

struct Params {
  tokens: u32,
  heads: u32,
  head_dim: u32,
  pairs: u32, // rotated pairs
  direction: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (tokens, heads · head_dim)
@group(0) @binding(2) var<storage, read> positions: array<u32>; // (tokens)
@group(0) @binding(3) var<storage, read> turns: array<vec2f>; // (positions, pairs): cosine, sine
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (tokens, heads · head_dim)

const WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn rotate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let half = params.head_dim / 2u;
  if (id >= params.tokens * params.heads * half) {
    return;
  }
  let coordinate = id % half;
  let head = id / half; // index of token and head
  let turns_here = coordinate < params.pairs;
  var turn = vec2f(1.0, 0.0);
  if (turns_here) {
    turn = turns[positions[head / params.heads] * params.pairs + coordinate];
  }
  let start = head * params.head_dim + coordinate;
  let first = start + select(params.pairs, 0u, turns_here);
  let second = start + select(half, params.pairs, turns_here);
  let sine = turn.y * params.direction;
  var rotated = vec2f(x[first] * turn.x - x[second] * sine, x[second] * turn.x + x[first] * sine);
  if (params.accumulate == 1u) {
    rotated += vec2f(y[first], y[second]);
  }
  y[first] = rotated.x;
  y[second] = rotated.y;
}
