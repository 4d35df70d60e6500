// The matrix products of matmul.wgsl for any dimensions, one element of the result per thread. Supports odd shapes and is
// the reference for testing the tiled products. A file of formats/ reads b.

#include "lib/dispatch.wgsl"

struct Params {
  m: u32,
  n: u32,
  k: u32,
  a_stride: u32, // row stride
  c_stride: u32,
  scale: f32,
  accumulate: u32,
  first: u32, // range of the k terms that this dispatch sums
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<Packed>; // b
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

const WORKGROUP: u32 = 64;

fn element_of(group: vec3u, groups: vec3u, lane: u32) -> u32 {
  return linear_group(group, groups) * WORKGROUP + lane;
}

// Sums the products for element `id` of c, starting at the given elements of a and b, with the given steps.
fn product(id: u32, a_start: u32, a_step: u32, b_start: u32, b_step: u32) {
  let at = id / params.n * params.c_stride + id % params.n;
  var sum = 0.0;
  for (var i = params.first; i < params.first + params.count; i++) {
    sum += a[a_start + i * a_step] * weight1(b_start + i * b_step);
  }
  sum *= params.scale;
  if (params.accumulate == 1u) {
    sum += c[at];
  }
  c[at] = sum;
}

@compute @workgroup_size(WORKGROUP)
fn nt(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = element_of(group, groups, lane);
  if (id < params.m * params.n) {
    product(id, (id / params.n) * params.a_stride, 1u, (id % params.n) * params.k, 1u);
  }
}

@compute @workgroup_size(WORKGROUP)
fn nn(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = element_of(group, groups, lane);
  if (id < params.m * params.n) {
    product(id, (id / params.n) * params.a_stride, 1u, id % params.n, params.n);
  }
}

@compute @workgroup_size(WORKGROUP)
fn tn(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = element_of(group, groups, lane);
  if (id < params.m * params.n) {
    product(id, id / params.n, params.a_stride, id % params.n, params.n);
  }
}
