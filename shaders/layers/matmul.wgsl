// Matrix products by registers: a thread holds DOWN × ACROSS blocks of 4 × 4 of the result, reads what it needs of either
// factor by itself, and waits for no other. Dimensions read as vectors must be multiples of 4; matmul-any.wgsl has no such
// condition. What belongs to every product, the addition of slices too, is here and in lib/product.wgsl.

#include "lib/dispatch.wgsl"
#include "lib/product.wgsl"

@group(0) @binding(4) var<storage, read> parts: array<vec4f>; // (slices, m, n)

const WORKGROUP: u32 = 64;
const DOWN: u32 = 1; // blocks in a thread's tile: 1, 2 or 4
const ACROSS: u32 = 1;

@compute @workgroup_size(WORKGROUP)
fn product(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Neighbouring threads share the rows of a.
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let across = (params.n + 4u * ACROSS - 1u) / (4u * ACROSS);
  let down = (params.m + 4u * DOWN - 1u) / (4u * DOWN);
  let slice = id / (across * down);
  if (slice >= params.slices) {
    return;
  }
  let row = id / across % down * DOWN * 4u;
  let column = id % across * ACROSS;

  // What of the addresses stays along k: rows of a factor stored by rows, the column of one that is not.
  let depth = (params.k + 3u) / 4u;
  let a0 = rows_at(row, params.m, depth);
  let a1 = rows_at(row + 4u, params.m, depth);
  let a2 = rows_at(row + 8u, params.m, depth);
  let a3 = rows_at(row + 12u, params.m, depth);
  let b0 = rows_at(column * 4u, params.n, depth);
  let b1 = rows_at(column * 4u + 4u, params.n, depth);
  let b2 = rows_at(column * 4u + 8u, params.n, depth);
  let b3 = rows_at(column * 4u + 12u, params.n, depth);
  let a_width = params.m / 4u;
  let b_width = params.n / 4u;
  let x = min(row / 4u + CORNER, vec4u(a_width - 1u));
  let y = min(column + CORNER, vec4u(b_width - 1u));

  var c00 = mat4x4f();
  var c01 = mat4x4f();
  var c02 = mat4x4f();
  var c03 = mat4x4f();
  var c10 = mat4x4f();
  var c11 = mat4x4f();
  var c12 = mat4x4f();
  var c13 = mat4x4f();
  var c20 = mat4x4f();
  var c21 = mat4x4f();
  var c22 = mat4x4f();
  var c23 = mat4x4f();
  var c30 = mat4x4f();
  var c31 = mat4x4f();
  var c32 = mat4x4f();
  var c33 = mat4x4f();
  var l1 = mat4x4f();
  var l2 = mat4x4f();
  var l3 = mat4x4f();

  let length = (depth + params.slices - 1u) / params.slices;
  let end = min((slice + 1u) * length, depth);
  for (var i = slice * length; i < end; i++) {
    let a_rows = rows_at(i * 4u, params.k, a_width);
    let b_rows = rows_at(i * 4u, params.k, b_width);
    let inside = vec4f(i * 4u + CORNER < vec4u(params.k));
    let l0 = left(a0, x.x, a_rows, i);
    if (DOWN > 1u) {
      l1 = left(a1, x.y, a_rows, i);
    }
    if (DOWN > 2u) {
      l2 = left(a2, x.z, a_rows, i);
      l3 = left(a3, x.w, a_rows, i);
    }
    let r0 = right(b0, y.x, b_rows, i, inside);
    c00 += r0 * l0;
    if (DOWN > 1u) {
      c10 += r0 * l1;
    }
    if (DOWN > 2u) {
      c20 += r0 * l2;
      c30 += r0 * l3;
    }
    if (ACROSS > 1u) {
      let r1 = right(b1, y.y, b_rows, i, inside);
      c01 += r1 * l0;
      if (DOWN > 1u) {
        c11 += r1 * l1;
      }
      if (DOWN > 2u) {
        c21 += r1 * l2;
        c31 += r1 * l3;
      }
    }
    if (ACROSS > 2u) {
      let r2 = right(b2, y.z, b_rows, i, inside);
      c02 += r2 * l0;
      if (DOWN > 1u) {
        c12 += r2 * l1;
      }
      if (DOWN > 2u) {
        c22 += r2 * l2;
        c32 += r2 * l3;
      }
      let r3 = right(b3, y.w, b_rows, i, inside);
      c03 += r3 * l0;
      if (DOWN > 1u) {
        c13 += r3 * l1;
      }
      if (DOWN > 2u) {
        c23 += r3 * l2;
        c33 += r3 * l3;
      }
    }
  }

  // By a loop over an array, because written out these stores are most of the kernel, and of its compile time.
  var blocks: array<mat4x4f, 16>;
  blocks[0] = c00;
  blocks[1] = c01;
  blocks[2] = c02;
  blocks[3] = c03;
  blocks[4] = c10;
  blocks[5] = c11;
  blocks[6] = c12;
  blocks[7] = c13;
  blocks[8] = c20;
  blocks[9] = c21;
  blocks[10] = c22;
  blocks[11] = c23;
  blocks[12] = c30;
  blocks[13] = c31;
  blocks[14] = c32;
  blocks[15] = c33;
  for (var t = 0u; t < DOWN * ACROSS * 4u; t++) {
    let d = t / (ACROSS * 4u);
    let q = t / 4u % ACROSS;
    store_row(slice, row + 4u * d + t % 4u, column + q, blocks[4u * d + q][t % 4u]);
  }
}

// c = scale · Σ parts, slice by slice.
@compute @workgroup_size(WORKGROUP)
fn sum_slices(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let size = params.m * (params.n / 4u);
  if (id >= size) {
    return;
  }
  var sum = vec4f();
  for (var slice = 0u; slice < params.slices; slice++) {
    sum += parts[slice * size + id];
  }
  sum *= params.scale;
  if (params.accumulate == 1u) {
    sum += c[id];
  }
  c[id] = sum;
}
