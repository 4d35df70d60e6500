// The matrix products of matmul-workgroup.wgsl with the matrix units of a GPU: a group computes 64 × 64 results, each of
// four subgroups a quarter of them, with the device's own matrix sizes, (DOWN, ALONG) times (ALONG, ACROSS). Factors are
// rounded to half precision and sums kept in float32, with the error of matmul-f16-tiles.wgsl; the device determines the
// order within a matrix.

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

#include "lib/staging.wgsl"

const DOWN: u32 = 8; // rows of a result matrix; like the others, a divisor of SIDE
const ACROSS: u32 = 8; // columns
const ALONG: u32 = 8; // terms of a sum
const THREADS: u32 = 128; // four subgroups of the largest size; if they are smaller there are more, and only the first four multiply
const TALL = 16u; // blocks of the tile
const WIDE = 16u;
const DEEP = 8u;
const SIDE = 32u; // side of a quarter, and of a piece along k
const LEFTS = SIDE / DOWN;
const RIGHTS = SIDE / ACROSS;

// Row-major: (4 TALL, SIDE), (SIDE, 4 WIDE), and for each quarter a row of matrices, (DOWN, SIDE).
var<workgroup> left_piece: array<f16, 4u * TALL * SIDE>;
var<workgroup> right_piece: array<f16, 4u * WIDE * SIDE>;
var<workgroup> results: array<f32, 4u * DOWN * SIDE>;

fn put_left(at: u32, values: vec4f) {
  left_piece[at] = f16(values.x);
  left_piece[at + 1u] = f16(values.y);
  left_piece[at + 2u] = f16(values.z);
  left_piece[at + 3u] = f16(values.w);
}

fn put_right(at: u32, values: vec4f) {
  right_piece[at] = f16(values.x);
  right_piece[at + 1u] = f16(values.y);
  right_piece[at + 2u] = f16(values.z);
  right_piece[at + 3u] = f16(values.w);
}

fn keep_left(place: vec2u, block: mat4x4f) {
  let at = 4u * (place.x * SIDE + place.y);
  put_left(at, block[0]);
  put_left(at + SIDE, block[1]);
  put_left(at + 2u * SIDE, block[2]);
  put_left(at + 3u * SIDE, block[3]);
}

fn keep_right(place: vec2u, block: mat4x4f) {
  const WIDTH = 4u * WIDE;
  let at = 4u * (place.y * WIDTH + place.x);
  put_right(at, block[0]);
  put_right(at + WIDTH, block[1]);
  put_right(at + 2u * WIDTH, block[2]);
  put_right(at + 3u * WIDTH, block[3]);
}

@compute @workgroup_size(THREADS)
fn product(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) quarter: u32,
) {
  let tile = tile_of(group, groups);
  if (tile.slice >= params.slices) {
    return;
  }
  let row = quarter / 2u * SIDE;
  let column = quarter % 2u * SIDE;

  var sums: array<subgroup_matrix_result<f32, ACROSS, DOWN>, LEFTS * RIGHTS>;
  for (var first = tile.begin; first < tile.end; first += DEEP) {
    stage(tile, first, lane, THREADS);
    workgroupBarrier();
    if (quarter < 4u) {
      for (var k = 0u; k < SIDE; k += ALONG) {
        var lefts: array<subgroup_matrix_left<f16, ALONG, DOWN>, LEFTS>;
        for (var d = 0u; d < LEFTS; d++) {
          let at = (row + d * DOWN) * SIDE + k;
          lefts[d] = subgroupMatrixLoad<subgroup_matrix_left<f16, ALONG, DOWN>, row_major>(&left_piece, at, SIDE);
        }
        for (var q = 0u; q < RIGHTS; q++) {
          let at = k * 4u * WIDE + column + q * ACROSS;
          let factor = subgroupMatrixLoad<subgroup_matrix_right<f16, ACROSS, ALONG>, row_major>(&right_piece, at, 4u * WIDE);
          for (var d = 0u; d < LEFTS; d++) {
            sums[d * RIGHTS + q] = subgroupMatrixMultiplyAccumulate(lefts[d], factor, sums[d * RIGHTS + q]);
          }
        }
      }
    }
    workgroupBarrier();
  }

  for (var d = 0u; d < LEFTS; d++) {
    if (quarter < 4u) {
      for (var q = 0u; q < RIGHTS; q++) {
        subgroupMatrixStore<row_major>(&results, quarter * DOWN * SIDE + q * ACROSS, sums[d * RIGHTS + q], SIDE);
      }
    }
    workgroupBarrier();
    for (var e = lane; e < DOWN * SIDE; e += THREADS) {
      let part = e / (DOWN * SIDE / 4u);
      let line = part / 2u * SIDE + d * DOWN + e / (SIDE / 4u) % DOWN;
      let vector = part % 2u * (SIDE / 4u) + e % (SIDE / 4u);
      let values = vec4f(results[4u * e], results[4u * e + 1u], results[4u * e + 2u], results[4u * e + 3u]);
      store_row(tile.slice, 4u * tile.first_row + line, tile.first_column + vector, values);
    }
    workgroupBarrier();
  }
}
