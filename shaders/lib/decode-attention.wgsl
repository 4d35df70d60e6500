// Attention of one new token per sequence to the prompt's keys, which several sequences may share, to its own earlier
// tokens' keys, and to itself. A joined file defines where the new key and value are: own-given.wgsl, which stores them in
// the cache, or own-cached.wgsl, if they are already there. One softmax as in attention.wgsl (Milakov and Gimelshein 2018);
// nothing is stored for a gradient. The kernels share this file. A context longer than a kernel may loop over
// (src/gpu/loops.ts) takes several dispatches of the entries called `forward_piece`. Each processes a range of keys and
// stores its state for the next. The result does not depend on the ranges.

#include "lib/place.wgsl"
#include "lib/soft-cap.wgsl"

alias Capped = f32;

struct Params {
  rows: u32,
  heads: u32,
  kv_heads: u32,
  step: u32,
  scale: f32,
  start: u32, // range of forward_piece among the visible cached keys
  stop: u32,
  soft_cap: f32, // of scores, if CAPPED
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // (rows, heads · head_dim)
@group(0) @binding(4) var<storage, read> places: array<Place>; // (rows)
@group(0) @binding(5) var<storage, read_write> keys: array<vec4f>; // (cache rows, kv_heads · head_dim)
@group(0) @binding(6) var<storage, read_write> values: array<vec4f>; // (cache rows, kv_heads · head_dim)
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>; // (rows, heads · head_dim)
@group(0) @binding(8) var<storage, read_write> states: array<vec4f>; // of each thread, between dispatches of forward_piece

const HEAD_VECTORS: u32 = 4; // head_dim / 4
const PARTS: u32 = 1; // ceil(HEAD_VECTORS / 8): threads that share a head, unless a workgroup does
const LAST: u32 = HEAD_VECTORS - 1;
const WINDOW: u32 = 0; // positions that a token attends to, including itself; 0 for all
const CAPPED: bool = false; // scores go through the soft cap

fn score_of(product: f32) -> f32 {
  if (CAPPED) {
    return soft_capped(product * params.scale, params.soft_cap);
  }
  return product * params.scale;
}

// The first visible cached key.
fn first_seen(count: u32) -> u32 {
  if (WINDOW == 0u) {
    return 0u;
  }
  return count + 1u - min(count + 1u, WINDOW);
}

fn shared_by() -> u32 {
  return params.heads / params.kv_heads;
}

// The position of a head in a row of the cache, or of key and value.
fn head_at(row: u32, kv_head: u32) -> u32 {
  return (row * params.kv_heads + kv_head) * HEAD_VECTORS;
}

// The cache row of the t-th key of a sequence.
fn seen_row(part: Part, t: u32) -> u32 {
  return select(part.own_from + t, part.prompt + t, t < part.prompt_keys);
}

fn own_score(q: u32, k: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < HEAD_VECTORS; i++) {
    sum += dot(query[q + i], own_key(k + i));
  }
  return score_of(sum);
}

// A thread's part of one head of one row.
struct Part {
  row_head: u32,
  prompt: u32, // its first cache row
  prompt_keys: u32,
  own_from: u32, // the first of its own cache rows, less the keys of the prompt
  kv_head: u32,
  first: u32, // its first vector
  own: u32, // location of the new key and value
  count: u32, // number of keys in the cache
}

fn part_of(id: u32) -> Part {
  let row_head = id / PARTS;
  let row = row_head / params.heads;
  let place = places[row];
  let kv_head = row_head % params.heads / shared_by();
  let prompt = prompt_keys(place, params.step);
  let count = position_of(place, params.step);
  let own = head_at(own_row(row, place), kv_head);
  return Part(row_head, place.prompt, prompt, place.own - prompt, kv_head, (id % PARTS) * 8u, own, count);
}
