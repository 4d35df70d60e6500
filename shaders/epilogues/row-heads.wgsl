// Queries, keys and values in one product. Queries and keys are rotated as in layers/rope.wgsl: a thread computes the
// columns that rotate together. Queries go to y, keys and values to the cache, after the sequence's own last row.

#include "lib/place.wgsl"

@group(0) @binding(4) var<storage, read> places: array<Place>; // (rows)
@group(0) @binding(5) var<storage, read> turns: array<vec2f>; // (positions, pairs): cosine, sine
@group(0) @binding(6) var<storage, read_write> keys: array<vec4f>; // (cache rows, KV_HEADS · head_dim)
@group(0) @binding(7) var<storage, read_write> values: array<vec4f>; // (cache rows, KV_HEADS · head_dim)

const HEADS: u32 = 1; // query heads
const KV_HEADS: u32 = 1;
const HEAD_VECTORS: u32 = 4; // head_dim / 4, even
const PAIR_VECTORS: u32 = 2; // rotated pairs / 4; 0 for a layer without positions

fn columns_of(tile: u32) -> vec2u {
  let start = tile / (HEAD_VECTORS / 2u) * HEAD_VECTORS;
  let within = tile % (HEAD_VECTORS / 2u);
  if (within < PAIR_VECTORS) {
    return start + vec2u(within, within + PAIR_VECTORS);
  }
  return start + vec2u(2u * within, 2u * within + 1u);
}

// The pairs of one vector at a position: cosines, then sines.
fn turns_of(position: u32, vector: u32) -> mat2x4f {
  let at = 4u * (position * PAIR_VECTORS + vector);
  let pairs = mat4x2f(turns[at], turns[at + 1u], turns[at + 2u], turns[at + 3u]);
  return transpose(pairs);
}

fn keep(row: u32, columns: vec2u, first: vec4f, second: vec4f) {
  let place = places[row];
  let head = columns.x / HEAD_VECTORS;
  let vector = columns.x % HEAD_VECTORS;
  var result = mat2x4f(first, second);
  if (head < HEADS + KV_HEADS && vector < PAIR_VECTORS) {
    let turn = turns_of(position_of(place, params.step), vector);
    result = mat2x4f(first * turn[0] - second * turn[1], second * turn[0] + first * turn[1]);
  }
  if (head < HEADS) {
    let at = row * HEADS * HEAD_VECTORS + columns;
    y[at.x] = result[0];
    y[at.y] = result[1];
    return;
  }
  let own = (place.own + own_keys(place, params.step)) * KV_HEADS * HEAD_VECTORS;
  if (head < HEADS + KV_HEADS) {
    let at = own + columns - HEADS * HEAD_VECTORS;
    keys[at.x] = result[0];
    keys[at.y] = result[1];
  } else {
    let at = own + columns - (HEADS + KV_HEADS) * HEAD_VECTORS;
    values[at.x] = result[0];
    values[at.y] = result[1];
  }
}
