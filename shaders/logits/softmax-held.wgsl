// Softmax and log-softmax as in softmax.wgsl, with workgroups so large that their threads hold the whole row: memory is
// read once, while two passes read it twice if the rows in progress exceed the cache. A thread holds four numbers in each
// of up to 16 named vectors, because an indexed array does not stay in registers; adjacent numbers belong to neighboring
// threads. Positions past the end of the row count as masked.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"

struct Params {
  rows: u32,
  cols: u32, // at most 16 · PARTS · WORKGROUP
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, cols)
@group(0) @binding(2) var<storage, read_write> result: array<u32>; // (rows, cols)

const LOG: bool = false; // log-probabilities instead of probabilities
const PARTS: u32 = 4; // 1 to 4 parts of 16 numbers per thread
const NOTHING = vec4u(MASKED);

struct Part {
  a: vec4u,
  b: vec4u,
  c: vec4u,
  d: vec4u,
}

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
  let first = load(start, lane, 0u);
  var second = Part(NOTHING, NOTHING, NOTHING, NOTHING);
  var third = second;
  var fourth = second;
  if (PARTS > 1u) {
    second = load(start, lane, 1u);
  }
  if (PARTS > 2u) {
    third = load(start, lane, 2u);
  }
  if (PARTS > 3u) {
    fourth = load(start, lane, 3u);
  }

  let mine = max(max(largest_of(first), largest_of(second)), max(largest_of(third), largest_of(fourth)));
  let largest = reduce_max(mine, lane);
  var sum = sum_of(first, largest);
  if (PARTS > 1u) {
    sum += sum_of(second, largest);
  }
  if (PARTS > 2u) {
    sum += sum_of(third, largest);
  }
  if (PARTS > 3u) {
    sum += sum_of(fourth, largest);
  }
  let state = Online(largest, reduce_sum(sum, lane), 0.0, 0.0, 0u);

  store(start, lane, 0u, first, state);
  if (PARTS > 1u) {
    store(start, lane, 1u, second, state);
  }
  if (PARTS > 2u) {
    store(start, lane, 2u, third, state);
  }
  if (PARTS > 3u) {
    store(start, lane, 3u, fourth, state);
  }
}

// Positions in the row of the four numbers of a vector.
fn places(lane: u32, vector: u32) -> vec4u {
  return lane + WORKGROUP * (4u * vector + vec4u(0u, 1u, 2u, 3u));
}

fn load(start: u32, lane: u32, part: u32) -> Part {
  return Part(
    load_four(start, places(lane, 4u * part)),
    load_four(start, places(lane, 4u * part + 1u)),
    load_four(start, places(lane, 4u * part + 2u)),
    load_four(start, places(lane, 4u * part + 3u)),
  );
}

// No branches, so that no load waits for another.
fn load_four(start: u32, place: vec4u) -> vec4u {
  let at = start + min(place, vec4u(params.cols - 1u));
  return select(NOTHING, vec4u(logits[at.x], logits[at.y], logits[at.z], logits[at.w]), place < vec4u(params.cols));
}

fn is_number(bits: vec4u) -> vec4<bool> {
  return (bits & vec4u(EXPONENT)) != vec4u(EXPONENT);
}

fn number_of(bits: vec4u) -> vec4f {
  return bitcast<vec4f>(select(vec4u(bitcast<u32>(LOWEST)), bits, is_number(bits)));
}

fn largest_of_four(bits: vec4u) -> f32 {
  let z = number_of(bits);
  return max(max(z.x, z.y), max(z.z, z.w));
}

fn largest_of(part: Part) -> f32 {
  return max(
    max(largest_of_four(part.a), largest_of_four(part.b)),
    max(largest_of_four(part.c), largest_of_four(part.d)),
  );
}

// e^(z − m); 0 where masked.
fn weights_of(bits: vec4u, largest: f32) -> vec4f {
  return select(exp(max(number_of(bits) - largest, vec4f(NEGLIGIBLE))), vec4f(), bits == NOTHING);
}

fn sum_of(part: Part, largest: f32) -> f32 {
  let fours = (weights_of(part.a, largest) + weights_of(part.b, largest)) +
    (weights_of(part.c, largest) + weights_of(part.d, largest));
  let sum = (fours.x + fours.y) + (fours.z + fours.w);
  // A NaN or +∞ must be visible in the whole row.
  let strange = max(max(strange_in(part.a), strange_in(part.b)), max(strange_in(part.c), strange_in(part.d)));
  if (strange > 0u) {
    return bitcast<f32>(strange | QUIET_NAN);
  }
  return sum;
}

// The bits of an entry that is neither a number nor masked; 0 if there is none.
fn strange_in(bits: vec4u) -> u32 {
  let strange = select(bits, vec4u(), is_number(bits) | (bits == NOTHING));
  return max(max(strange.x, strange.y), max(strange.z, strange.w));
}

fn store(start: u32, lane: u32, part: u32, values: Part, state: Online) {
  store_four(start, places(lane, 4u * part), values.a, state);
  store_four(start, places(lane, 4u * part + 1u), values.b, state);
  store_four(start, places(lane, 4u * part + 2u), values.c, state);
  store_four(start, places(lane, 4u * part + 3u), values.d, state);
}

fn store_four(start: u32, place: vec4u, bits: vec4u, state: Online) {
  let values = result_of(bits, state);
  if (place.x < params.cols) {
    result[start + place.x] = values.x;
  }
  if (place.y < params.cols) {
    result[start + place.y] = values.y;
  }
  if (place.z < params.cols) {
    result[start + place.z] = values.z;
  }
  if (place.w < params.cols) {
    result[start + place.w] = values.w;
  }
}

fn result_of(bits: vec4u, state: Online) -> vec4u {
  if (LOG) {
    let logprobs = number_of(bits) - state.largest - online_log_sum(state);
    return select(bitcast<vec4u>(logprobs), NOTHING, bits == NOTHING);
  }
  return bitcast<vec4u>(weights_of(bits, state.largest) * online_inverse(state));
}
