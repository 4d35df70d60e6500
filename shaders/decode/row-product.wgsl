// Products of few rows with a weight matrix, y = epilogue(scale · (x̂ Wᵀ + bias)), for decoding steps. x̂ is x, or x
// divided by its root mean square, in which case the weights include the norm's weight: the squares are summed together
// with the products, and the sums are divided once. A file of epilogues/ defines which columns a thread computes and what
// happens to them.
//
// A thread computes ROWS rows of two blocks of four columns, in named registers. An array, or a struct behind a pointer,
// takes twice the time on a software adapter. Every sum runs over k in order, so that a row does not depend on the number
// of rows.

#include "lib/dispatch.wgsl"

struct Params {
  rows: u32,
  n: u32, // rows of the weights
  k: u32,
  tiles: u32, // pairs of blocks across
  width: u32, // row stride of y, in vectors
  step: u32, // of the generation, for the heads
  scale: f32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // (rows, k)
@group(0) @binding(2) var<storage, read> weights: array<Packed>; // (n, k); if BIASED followed by the biases (n)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

const WORKGROUP: u32 = 8;
const ROWS: u32 = 1; // 1, 2, 4 or 8
const NORMED: bool = false;
const BIASED: bool = false;
const CORNER = vec4u(0u, 1u, 2u, 3u);

// The offsets of the rows of W for four columns. Rows past the end repeat the last one, and their results are not stored.
fn rows_of(column: u32) -> vec4u {
  return min(4u * column + CORNER, vec4u(params.n - 1u)) * (params.k / 4u);
}

fn block(at: vec4u) -> mat4x4f {
  return transpose(mat4x4f(weight4(at.x), weight4(at.y), weight4(at.z), weight4(at.w)));
}

fn bias4(column: u32) -> vec4f {
  if (BIASED) {
    return weight4(params.n * (params.k / 4u) + column);
  }
  return vec4f();
}

fn finish(row: u32, columns: vec2u, squares: f32, first: vec4f, second: vec4f) {
  if (row >= params.rows) {
    return;
  }
  var factor = 1.0;
  if (NORMED) {
    factor = inverseSqrt(squares / f32(params.k) + params.eps);
  }
  keep(
    row,
    columns,
    (first * factor + bias4(columns.x)) * params.scale,
    (second * factor + bias4(columns.y)) * params.scale,
  );
}

@compute @workgroup_size(WORKGROUP)
fn product(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let row = id / params.tiles * ROWS;
  if (row >= params.rows) {
    return;
  }
  let columns = columns_of(id % params.tiles);
  let first = rows_of(columns.x);
  let second = rows_of(columns.y);
  let depth = params.k / 4u;
  let last = params.rows - 1u;
  let a0 = row * depth;
  let a1 = min(row + 1u, last) * depth;
  let a2 = min(row + 2u, last) * depth;
  let a3 = min(row + 3u, last) * depth;
  let a4 = min(row + 4u, last) * depth;
  let a5 = min(row + 5u, last) * depth;
  let a6 = min(row + 6u, last) * depth;
  let a7 = min(row + 7u, last) * depth;
  var y00 = vec4f();
  var y01 = vec4f();
  var y10 = vec4f();
  var y11 = vec4f();
  var y20 = vec4f();
  var y21 = vec4f();
  var y30 = vec4f();
  var y31 = vec4f();
  var y40 = vec4f();
  var y41 = vec4f();
  var y50 = vec4f();
  var y51 = vec4f();
  var y60 = vec4f();
  var y61 = vec4f();
  var y70 = vec4f();
  var y71 = vec4f();
  var squares = vec4f();
  var more_squares = vec4f();
  for (var i = 0u; i < depth; i++) {
    let w0 = block(first + i);
    let w1 = block(second + i);
    let x0 = x[a0 + i];
    y00 += w0 * x0;
    y01 += w1 * x0;
    if (NORMED) {
      squares.x += dot(x0, x0);
    }
    if (ROWS > 1u) {
      let x1 = x[a1 + i];
      y10 += w0 * x1;
      y11 += w1 * x1;
      if (NORMED) {
        squares.y += dot(x1, x1);
      }
    }
    if (ROWS > 2u) {
      let x2 = x[a2 + i];
      let x3 = x[a3 + i];
      y20 += w0 * x2;
      y21 += w1 * x2;
      y30 += w0 * x3;
      y31 += w1 * x3;
      if (NORMED) {
        squares.z += dot(x2, x2);
        squares.w += dot(x3, x3);
      }
    }
    if (ROWS > 4u) {
      let x4 = x[a4 + i];
      let x5 = x[a5 + i];
      let x6 = x[a6 + i];
      let x7 = x[a7 + i];
      y40 += w0 * x4;
      y41 += w1 * x4;
      y50 += w0 * x5;
      y51 += w1 * x5;
      y60 += w0 * x6;
      y61 += w1 * x6;
      y70 += w0 * x7;
      y71 += w1 * x7;
      if (NORMED) {
        more_squares += vec4f(dot(x4, x4), dot(x5, x5), dot(x6, x6), dot(x7, x7));
      }
    }
  }
  finish(row, columns, squares.x, y00, y01);
  if (ROWS > 1u) {
    finish(row + 1u, columns, squares.y, y10, y11);
  }
  if (ROWS > 2u) {
    finish(row + 2u, columns, squares.z, y20, y21);
    finish(row + 3u, columns, squares.w, y30, y31);
  }
  if (ROWS > 4u) {
    finish(row + 4u, columns, more_squares.x, y40, y41);
    finish(row + 5u, columns, more_squares.y, y50, y51);
    finish(row + 6u, columns, more_squares.z, y60, y61);
    finish(row + 7u, columns, more_squares.w, y70, y71);
  }
}
