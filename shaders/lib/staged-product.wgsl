// A matrix product with workgroups: a group computes a tile of the result, LINES × LANES threads with DOWN × ACROSS blocks
// of 4 × 4 each. Step by step along k, a piece of each factor is copied to workgroup memory, which the whole group reads.
// The including file defines its element type, Staged. Sums run in the order of matmul.wgsl.

#include "lib/staging.wgsl"

const LINES: u32 = 16; // threads down the tile
const LANES: u32 = 16; // threads across it
const DOWN: u32 = 1; // blocks per thread: 1 or 2
const ACROSS: u32 = 1;
const DEEP: u32 = 4; // blocks of a piece along k
const TALL = LINES * DOWN; // blocks of the tile
const WIDE = LANES * ACROSS;

// The blocks by columns, (4, DEEP, TALL) and (4, DEEP, WIDE): neighboring threads read neighboring vectors.
var<workgroup> left_piece: array<vec4<Staged>, 4u * DEEP * TALL>;
var<workgroup> right_piece: array<vec4<Staged>, 4u * DEEP * WIDE>;

fn keep_left(place: vec2u, block: mat4x4f) {
  let at = place.y * TALL + place.x;
  let step = DEEP * TALL;
  left_piece[at] = vec4<Staged>(block[0]);
  left_piece[at + step] = vec4<Staged>(block[1]);
  left_piece[at + 2u * step] = vec4<Staged>(block[2]);
  left_piece[at + 3u * step] = vec4<Staged>(block[3]);
}

fn keep_right(place: vec2u, block: mat4x4f) {
  let at = place.y * WIDE + place.x;
  let step = DEEP * WIDE;
  right_piece[at] = vec4<Staged>(block[0]);
  right_piece[at + step] = vec4<Staged>(block[1]);
  right_piece[at + 2u * step] = vec4<Staged>(block[2]);
  right_piece[at + 3u * step] = vec4<Staged>(block[3]);
}

fn staged_left(x: u32, q: u32) -> mat4x4f {
  let at = q * TALL + x;
  let step = DEEP * TALL;
  return mat4x4f(
    vec4f(left_piece[at]),
    vec4f(left_piece[at + step]),
    vec4f(left_piece[at + 2u * step]),
    vec4f(left_piece[at + 3u * step]),
  );
}

fn staged_right(x: u32, q: u32) -> mat4x4f {
  let at = q * WIDE + x;
  let step = DEEP * WIDE;
  return mat4x4f(
    vec4f(right_piece[at]),
    vec4f(right_piece[at + step]),
    vec4f(right_piece[at + 2u * step]),
    vec4f(right_piece[at + 3u * step]),
  );
}

@compute @workgroup_size(LANES, LINES)
fn product(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tile_of(group, groups);
  if (tile.slice >= params.slices) {
    return;
  }

  var c00 = mat4x4f();
  var c01 = mat4x4f();
  var c10 = mat4x4f();
  var c11 = mat4x4f();
  for (var first = tile.begin; first < tile.end; first += DEEP) {
    stage(tile, first, lane, LINES * LANES);
    workgroupBarrier();
    for (var q = 0u; q < DEEP; q++) {
      let l0 = staged_left(thread.y, q);
      let r0 = staged_right(thread.x, q);
      c00 += r0 * l0;
      if (ACROSS > 1u) {
        c01 += staged_right(thread.x + LANES, q) * l0;
      }
      if (DOWN > 1u) {
        let l1 = staged_left(thread.y + LINES, q);
        c10 += r0 * l1;
        if (ACROSS > 1u) {
          c11 += staged_right(thread.x + LANES, q) * l1;
        }
      }
    }
    workgroupBarrier();
  }

  // A loop, as in matmul.wgsl.
  let blocks = array<mat4x4f, 4>(c00, c01, c10, c11);
  for (var t = 0u; t < DOWN * ACROSS * 4u; t++) {
    let d = t / (ACROSS * 4u);
    let q = t / 4u % ACROSS;
    let row = 4u * (tile.first_row + thread.y + LINES * d) + t % 4u;
    store_row(tile.slice, row, tile.first_column + thread.x + LANES * q, blocks[2u * d + q][t % 4u]);
  }
}
