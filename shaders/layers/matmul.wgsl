// Matrix products in the three layouts that a linear layer and its gradients need, a 4 × 4 tile of the result per
// thread in registers and no barrier. Dimensions read as vectors must be multiples of 4; matmul-any.wgsl has no such
// condition.
//   nt: c (m, n) = a (m, k) · b (n, k)ᵀ     nn: c (m, n) = a (m, k) · b (k, n)     tn: c (m, n) = a (k, m)ᵀ · b (k, n)
// The result is scaled, and added to what c holds where accumulate is 1.

#include "lib/dispatch.wgsl"

struct Params {
  m: u32,
  n: u32,
  k: u32,
  scale: f32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

const WORKGROUP: u32 = 64;

// Row and column of a thread's tile, in tiles of 4. Neighbouring threads share the rows of a.
fn tile_of(group: vec3u, groups: vec3u, lane: u32) -> vec2u {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let across = params.n / 4u;
  return vec2u(id / across, id % across);
}

fn store(row: u32, column: u32, value: vec4f) {
  if (row >= params.m) {
    return;
  }
  let at = row * (params.n / 4u) + column;
  var result = value * params.scale;
  if (params.accumulate == 1u) {
    result += c[at];
  }
  c[at] = result;
}

fn store_tile(tile: vec2u, c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f) {
  store(tile.x * 4u, tile.y, c0);
  store(tile.x * 4u + 1u, tile.y, c1);
  store(tile.x * 4u + 2u, tile.y, c2);
  store(tile.x * 4u + 3u, tile.y, c3);
}

// The last tile of rows reads its last row again rather than past the end.
fn row_start(row: u32, stride: u32) -> u32 {
  return min(row, params.m - 1u) * stride;
}

@compute @workgroup_size(WORKGROUP)
fn nt(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(group, groups, lane);
  if (tile.x * 4u >= params.m) {
    return;
  }
  let depth = params.k / 4u;
  var a0 = row_start(tile.x * 4u, depth);
  var a1 = row_start(tile.x * 4u + 1u, depth);
  var a2 = row_start(tile.x * 4u + 2u, depth);
  var a3 = row_start(tile.x * 4u + 3u, depth);
  var b0 = tile.y * 4u * depth;
  var c0 = vec4f();
  var c1 = vec4f();
  var c2 = vec4f();
  var c3 = vec4f();
  for (var i = 0u; i < depth; i++) {
    let p = b[b0 + i];
    let q = b[b0 + depth + i];
    let r = b[b0 + 2u * depth + i];
    let s = b[b0 + 3u * depth + i];
    let x0 = a[a0 + i];
    let x1 = a[a1 + i];
    let x2 = a[a2 + i];
    let x3 = a[a3 + i];
    c0 += vec4f(dot(x0, p), dot(x0, q), dot(x0, r), dot(x0, s));
    c1 += vec4f(dot(x1, p), dot(x1, q), dot(x1, r), dot(x1, s));
    c2 += vec4f(dot(x2, p), dot(x2, q), dot(x2, r), dot(x2, s));
    c3 += vec4f(dot(x3, p), dot(x3, q), dot(x3, r), dot(x3, s));
  }
  store_tile(tile, c0, c1, c2, c3);
}

@compute @workgroup_size(WORKGROUP)
fn nn(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(group, groups, lane);
  if (tile.x * 4u >= params.m) {
    return;
  }
  let depth = params.k / 4u;
  let across = params.n / 4u;
  let a0 = row_start(tile.x * 4u, depth);
  let a1 = row_start(tile.x * 4u + 1u, depth);
  let a2 = row_start(tile.x * 4u + 2u, depth);
  let a3 = row_start(tile.x * 4u + 3u, depth);
  var c0 = vec4f();
  var c1 = vec4f();
  var c2 = vec4f();
  var c3 = vec4f();
  for (var i = 0u; i < depth; i++) {
    let at = i * 4u * across + tile.y;
    let p = b[at];
    let q = b[at + across];
    let r = b[at + 2u * across];
    let s = b[at + 3u * across];
    let x0 = a[a0 + i];
    let x1 = a[a1 + i];
    let x2 = a[a2 + i];
    let x3 = a[a3 + i];
    c0 += x0.x * p + x0.y * q + x0.z * r + x0.w * s;
    c1 += x1.x * p + x1.y * q + x1.z * r + x1.w * s;
    c2 += x2.x * p + x2.y * q + x2.z * r + x2.w * s;
    c3 += x3.x * p + x3.y * q + x3.z * r + x3.w * s;
  }
  store_tile(tile, c0, c1, c2, c3);
}

@compute @workgroup_size(WORKGROUP)
fn tn(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(group, groups, lane);
  if (tile.x * 4u >= params.m) {
    return;
  }
  let down = params.m / 4u;
  let across = params.n / 4u;
  var c0 = vec4f();
  var c1 = vec4f();
  var c2 = vec4f();
  var c3 = vec4f();
  for (var i = 0u; i < params.k; i++) {
    let x = a[i * down + tile.x];
    let p = b[i * across + tile.y];
    c0 += x.x * p;
    c1 += x.y * p;
    c2 += x.z * p;
    c3 += x.w * p;
  }
  store_tile(tile, c0, c1, c2, c3);
}
