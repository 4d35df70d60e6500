// Matrix products in registers: a thread holds DOWN × ACROSS blocks of 4 × 4 results, reads both factors itself, and needs
// no barrier. Row strides must be whole vectors; matmul-any.wgsl has no such condition. This file and lib/product.wgsl
// contain everything common to all products, including the addition of slices.

#include "lib/dispatch.wgsl"
#include "lib/product.wgsl"

@group(0) @binding(4) var<storage, read> parts: array<vec4f>; // (slices, m, n)

const WORKGROUP: u32 = 64;
const DOWN: u32 = 1; // blocks in a thread's tile: 1, 2 or 4
const ACROSS: u32 = 1;

// Four blocks of a factor; a tile may use fewer.
struct Blocks {
  x: mat4x4f,
  y: mat4x4f,
  z: mat4x4f,
  w: mat4x4f,
}

struct Sums {
  c00: mat4x4f,
  c01: mat4x4f,
  c02: mat4x4f,
  c03: mat4x4f,
  c10: mat4x4f,
  c11: mat4x4f,
  c12: mat4x4f,
  c13: mat4x4f,
  c20: mat4x4f,
  c21: mat4x4f,
  c22: mat4x4f,
  c23: mat4x4f,
  c30: mat4x4f,
  c31: mat4x4f,
  c32: mat4x4f,
  c33: mat4x4f,
}

// Adds four more products to each sum.
fn add_step(sums: ptr<function, Sums>, l: Blocks, r: Blocks) {
  (*sums).c00 += r.x * l.x;
  if (DOWN > 1u) {
    (*sums).c10 += r.x * l.y;
  }
  if (DOWN > 2u) {
    (*sums).c20 += r.x * l.z;
    (*sums).c30 += r.x * l.w;
  }
  if (ACROSS > 1u) {
    (*sums).c01 += r.y * l.x;
    if (DOWN > 1u) {
      (*sums).c11 += r.y * l.y;
    }
    if (DOWN > 2u) {
      (*sums).c21 += r.y * l.z;
      (*sums).c31 += r.y * l.w;
    }
  }
  if (ACROSS > 2u) {
    (*sums).c02 += r.z * l.x;
    (*sums).c03 += r.w * l.x;
    if (DOWN > 1u) {
      (*sums).c12 += r.z * l.y;
      (*sums).c13 += r.w * l.y;
    }
    if (DOWN > 2u) {
      (*sums).c22 += r.z * l.z;
      (*sums).c23 += r.w * l.z;
      (*sums).c32 += r.z * l.w;
      (*sums).c33 += r.w * l.w;
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn product(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Neighboring threads share the rows of a.
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let across = (params.n + 4u * ACROSS - 1u) / (4u * ACROSS);
  let down = (params.m + 4u * DOWN - 1u) / (4u * DOWN);
  let slice = id / (across * down);
  if (slice >= params.slices) {
    return;
  }
  let row = id / across % down * DOWN * 4u;
  let column = id % across * ACROSS;

  // The parts of the addresses that are constant along k: rows of a factor stored by rows, the column of any other.
  let depth = (params.k + 3u) / 4u;
  let a_width = params.a_stride / 4u;
  let a0 = rows_at(row, params.m, a_width);
  let a1 = rows_at(row + 4u, params.m, a_width);
  let a2 = rows_at(row + 8u, params.m, a_width);
  let a3 = rows_at(row + 12u, params.m, a_width);
  let b0 = rows_at(column * 4u, params.n, depth);
  let b1 = rows_at(column * 4u + 4u, params.n, depth);
  let b2 = rows_at(column * 4u + 8u, params.n, depth);
  let b3 = rows_at(column * 4u + 12u, params.n, depth);
  let b_width = params.n / 4u;
  let x = min(row / 4u + CORNER, vec4u((params.m - 1u) / 4u));
  let y = min(column + CORNER, vec4u(b_width - 1u));

  var sums: Sums;
  var l: Blocks;
  var r: Blocks;
  let length = (depth + params.slices - 1u) / params.slices;
  let end = min((slice + 1u) * length, depth);
  for (var i = slice * length; i < end; i++) {
    let a_rows = rows_at(i * 4u, params.k, a_width);
    let b_rows = rows_at(i * 4u, params.k, b_width);
    let inside = vec4f(i * 4u + CORNER < vec4u(params.k));
    l.x = left(a0, x.x, a_rows, i);
    if (DOWN > 1u) {
      l.y = left(a1, x.y, a_rows, i);
    }
    if (DOWN > 2u) {
      l.z = left(a2, x.z, a_rows, i);
      l.w = left(a3, x.w, a_rows, i);
    }
    r.x = right(b0, y.x, b_rows, i, inside);
    if (ACROSS > 1u) {
      r.y = right(b1, y.y, b_rows, i, inside);
    }
    if (ACROSS > 2u) {
      r.z = right(b2, y.z, b_rows, i, inside);
      r.w = right(b3, y.w, b_rows, i, inside);
    }
    add_step(&sums, l, r);
  }
  for (var i = 0u; i < more_depth(); i++) {
    l.x = more_left(row, i);
    if (DOWN > 1u) {
      l.y = more_left(row + 4u, i);
    }
    if (DOWN > 2u) {
      l.z = more_left(row + 8u, i);
      l.w = more_left(row + 12u, i);
    }
    r.x = more_right(column, i);
    if (ACROSS > 1u) {
      r.y = more_right(column + 1u, i);
    }
    if (ACROSS > 2u) {
      r.z = more_right(column + 2u, i);
      r.w = more_right(column + 3u, i);
    }
    add_step(&sums, l, r);
  }

  // A loop over an array, because these stores written out would be most of the kernel and its compile time.
  var blocks = array<mat4x4f, 16>(
    sums.c00, sums.c01, sums.c02, sums.c03,
    sums.c10, sums.c11, sums.c12, sums.c13,
    sums.c20, sums.c21, sums.c22, sums.c23,
    sums.c30, sums.c31, sums.c32, sums.c33,
  );
  for (var t = 0u; t < DOWN * ACROSS * 4u; t++) {
    let d = t / (ACROSS * 4u);
    let q = t / 4u % ACROSS;
    store_row(slice, row + 4u * d + t % 4u, column + q, blocks[4u * d + q][t % 4u]);
  }
}

// c = scale · Σ parts, slice by slice, plus the epilogue of store_row.
@compute @workgroup_size(WORKGROUP)
fn sum_slices(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let width = (params.n + 3u) / 4u;
  let size = params.m * width;
  if (id >= size) {
    return;
  }
  var sum = vec4f();
  for (var slice = 0u; slice < params.slices; slice++) {
    sum += parts[slice * size + id];
  }
  sum = sum * params.scale + addend4(id / width, id % width);
  let at = id / width * (params.c_stride / 4u) + id % width;
  if (params.accumulate == 1u) {
    sum += c[at];
  }
  c[at] = sum;
}
