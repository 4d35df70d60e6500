// Shared by the matrix product kernels: parameters, factors and result, and how a row of the result is stored. A
// variant defines how the work is divided; the result and its layout are the same for all of them.
//   nt: c (m, n) = a (m, k) · b (n, k)ᵀ     nn: c (m, n) = a (m, k) · b (k, n)     tn: c (m, n) = a (k, m)ᵀ · b (k, n)
// The second factor may be the frozen weights of a layer: a file of formats/, joined with the kernel, reads its layout.
// A block is a matrix whose columns are rows of its buffer, so that the layouts differ only in transposition. A long k with
// few results is split into slices, c (slices, m, n) one after the other. The result is scaled, and added to the contents of c
// if accumulate is 1. A file of epilogues/, also joined, defines the epilogue: the LoRA term,
// summed after the product (more_depth, more_left, more_right), and a residual or a bias.
// The rows of a and of c may have a larger stride than their length, such as those of logits, padded to a multiple of four for an
// odd vocabulary. The padding of c up to the next multiple of four is written too; in nn the padding of a must be 0.

struct Params {
  m: u32,
  n: u32,
  k: u32,
  a_stride: u32, // row stride
  c_stride: u32,
  slices: u32,
  scale: f32,
  accumulate: u32,
  rank: u32, // of the LoRA term
  addend_width: u32, // row stride of the addend, in vectors
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<Packed>; // b
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

const A_BY_ROWS: bool = true; // a (m, k), not (k, m)
const B_BY_ROWS: bool = true; // b (n, k), not (k, n)
const CORNER = vec4u(0u, 1u, 2u, 3u);

// A block of a factor: the offsets of its four rows. Rows past the end repeat the last row, and their results are not kept.
fn rows_at(row: u32, rows: u32, width: u32) -> vec4u {
  return min(row + CORNER, vec4u(rows - 1u)) * width;
}

fn block_a(at: vec4u) -> mat4x4f {
  return mat4x4f(a[at.x], a[at.y], a[at.z], a[at.w]);
}

fn block_b(at: vec4u) -> mat4x4f {
  return mat4x4f(weight4(at.x), weight4(at.y), weight4(at.z), weight4(at.w));
}

// Blocks such that right · left is a block of the result with the rows of c as columns. `stays` are the addresses of a
// factor whose rows run along k, `column` and `moves` those of one whose rows run across it; `inside` is 0 past the end of k.
fn left(stays: vec4u, column: u32, moves: vec4u, i: u32) -> mat4x4f {
  if (A_BY_ROWS) {
    return block_a(stays + i);
  }
  return transpose(block_a(moves + column));
}

fn right(stays: vec4u, column: u32, moves: vec4u, i: u32, inside: vec4f) -> mat4x4f {
  if (B_BY_ROWS) {
    return transpose(block_b(stays + i));
  }
  let block = block_b(moves + column);
  if (A_BY_ROWS) {
    return block; // k is read as vectors: all of it is inside
  }
  return mat4x4f(block[0] * inside.x, block[1] * inside.y, block[2] * inside.z, block[3] * inside.w);
}

fn store_row(slice: u32, row: u32, column: u32, values: vec4f) {
  if (row >= params.m || 4u * column >= params.n) {
    return;
  }
  let at = (slice * params.m + row) * (params.c_stride / 4u) + column;
  var result = values * params.scale + addend4(row, column);
  if (params.accumulate == 1u) {
    result += c[at];
  }
  c[at] = result;
}
