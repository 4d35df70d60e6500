// Stores numbers in half the bytes between forward and backward. A row shares its largest exponent; each number keeps its
// sign, an exponent relative to 30 below the shared one, and the ten leading bits of its fraction: the bits of half
// precision, with a range that moves with the row, so that no finite number overflows. Rounds to nearest, ties to even: the
// error is at most 2^−11 of the number, or 2^−29 of the row's largest. Uses only integer operations on the bits, because
// WGSL does not define how floats round to half precision, and implementations may flush subnormals to zero and ignore
// infinities. A row that contains an infinity or NaN is restored as all NaN.

#include "lib/dispatch.wgsl"
#include "lib/reduce.wgsl"

struct Params {
  rows: u32,
  fours: u32, // vectors of four per row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4u>; // (rows, fours), the bits of float32
@group(0) @binding(2) var<storage, read_write> packed: array<vec2u>; // (rows, 1 + fours): the exponent comes first
@group(0) @binding(3) var<storage, read> saved: array<vec2u>; // the same, to be unpacked
@group(0) @binding(4) var<storage, read_write> y: array<vec4u>; // (rows, fours)

const ROWS: u32 = 1; // above 1 only if WORKGROUP is 1

const MAGNITUDE: u32 = 0x7fffffff;
const FRACTION_BITS: u32 = 23;
const DROPPED_BITS: u32 = 13;
const TOP: u32 = 30; // the exponent of the largest number
const LARGEST: u32 = 0x7bff; // in fifteen bits: exponent 30 and all of the fraction
const NOT_FINITE: u32 = 255; // exponent of infinities and NaN
const NAN: u32 = 0x7fc00000;

// The offset subtracted from every magnitude of a row.
fn base(exponent: u32) -> u32 {
  return (max(exponent, TOP) - TOP) << FRACTION_BITS;
}

@compute @workgroup_size(WORKGROUP, ROWS)
fn pack(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
) {
  // All threads take part in the maximum, so a row past the end counts as a row without columns.
  let row = linear_group(group, groups) * ROWS + thread.y;
  let lane = thread.x;
  let fours = select(0u, params.fours, row < params.rows);
  let start = row * params.fours;
  var largest = vec4u();
  for (var i = lane; i < fours; i += WORKGROUP) {
    largest = max(largest, x[start + i] & vec4u(MAGNITUDE));
  }
  let pair = max(largest.xy, largest.zw);
  let exponent = u32(reduce_max(f32(max(pair.x, pair.y) >> FRACTION_BITS), lane));
  let from_base = vec4u(base(exponent));
  let begin = start + row;
  for (var i = lane; i < fours; i += WORKGROUP) {
    let bits = x[start + i];
    let magnitude = bits & vec4u(MAGNITUDE);
    let left = select(vec4u(), magnitude - from_base, magnitude >= from_base);
    let kept = left >> vec4u(DROPPED_BITS);
    let nearest = (left + vec4u(0xfff) + (kept & vec4u(1))) >> vec4u(DROPPED_BITS);
    let halves = min(nearest, vec4u(LARGEST)) | ((bits >> vec4u(16)) & vec4u(0x8000));
    packed[begin + 1 + i] = halves.xz | (halves.yw << vec2u(16));
  }
  if (lane == 0 && fours > 0) {
    packed[begin] = vec2u(exponent, 0);
  }
}

@compute @workgroup_size(WORKGROUP, ROWS)
fn unpack(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
) {
  let row = linear_group(group, groups) * ROWS + thread.y;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.fours;
  let begin = start + row;
  let exponent = saved[begin].x;
  let to_base = vec4u(base(exponent));
  for (var i = thread.x; i < params.fours; i += WORKGROUP) {
    let words = saved[begin + 1 + i];
    let halves = vec4u(words.x & 0xffff, words.x >> 16, words.y & 0xffff, words.y >> 16);
    let kept = halves & vec4u(0x7fff);
    let magnitude = select((kept << vec4u(DROPPED_BITS)) + to_base, vec4u(), kept == vec4u());
    let bits = magnitude | ((halves & vec4u(0x8000)) << vec4u(16));
    y[start + i] = select(bits, vec4u(NAN), exponent == NOT_FINITE);
  }
}
