// A matrix product by workgroups: a group makes a tile of the result, LINES × LANES threads with DOWN × ACROSS blocks of
// 4 × 4 each. Step by step along k, a piece of either factor is copied to workgroup memory, where the whole group reads
// it. Blocks are turned and padded with zeros on the way in, so that what follows knows nothing of layouts or bounds. The
// including file says what is kept there: Staged. Sums run in the order of matmul.wgsl.

#include "lib/dispatch.wgsl"
#include "lib/product.wgsl"

const LINES: u32 = 16; // threads down the tile
const LANES: u32 = 16; // threads across it
const DOWN: u32 = 1; // blocks of a thread: 1 or 2
const ACROSS: u32 = 1;
const DEEP: u32 = 4; // blocks of a piece along k
const TALL = LINES * DOWN; // blocks of the tile
const WIDE = LANES * ACROSS;

// Column by column of the blocks, (4, DEEP, TALL) and (4, DEEP, WIDE): neighbouring threads read neighbouring vectors.
var<workgroup> left_piece: array<vec4<Staged>, 4u * DEEP * TALL>;
var<workgroup> right_piece: array<vec4<Staged>, 4u * DEEP * WIDE>;

// Which block a thread copies: next to those of its neighbours in memory.
fn place_in(piece: u32, size: u32, by_rows: bool) -> vec2u {
  return select(vec2u(piece % size, piece / size), vec2u(piece / DEEP, piece % DEEP), by_rows);
}

fn keep_left(place: vec2u, block: mat4x4f) {
  for (var j = 0u; j < 4u; j++) {
    left_piece[(j * DEEP + place.y) * TALL + place.x] = vec4<Staged>(block[j]);
  }
}

fn keep_right(place: vec2u, block: mat4x4f) {
  for (var j = 0u; j < 4u; j++) {
    right_piece[(j * DEEP + place.y) * WIDE + place.x] = vec4<Staged>(block[j]);
  }
}

// `first_row` and `first_column` are those of the tile, in blocks.
fn stage_left(e: u32, first_row: u32, first: u32, depth: u32) {
  let place = place_in(e, TALL, A_BY_ROWS);
  let x = first_row + place.x;
  let i = min(first + place.y, depth - 1u);
  let width = params.a_stride / 4u;
  let column = min(x, (params.m - 1u) / 4u);
  keep_left(place, left(rows_at(x * 4u, params.m, width), column, rows_at(i * 4u, params.k, width), i));
}

fn stage_right(e: u32, first_column: u32, first: u32, end: u32, depth: u32) {
  let place = place_in(e, WIDE, B_BY_ROWS);
  let x = first_column + place.x;
  let i = min(first + place.y, depth - 1u);
  let width = params.n / 4u;
  let inside = vec4f(i * 4u + CORNER < vec4u(params.k));
  var block = mat4x4f();
  if (first + place.y < end) {
    block = right(rows_at(x * 4u, params.n, depth), min(x, width - 1u), rows_at(i * 4u, params.k, width), i, inside);
  }
  keep_right(place, block);
}

// The same of the low-rank pair.
fn stage_more(e: u32, first_row: u32, first_column: u32, first: u32) {
  let to_left = e < DEEP * TALL;
  let place = place_in(select(e - DEEP * TALL, e, to_left), select(WIDE, TALL, to_left), true);
  let inside = first + place.y < more_depth();
  var block = mat4x4f();
  if (to_left) {
    if (inside) {
      block = more_left((first_row + place.x) * 4u, first + place.y);
    }
    keep_left(place, block);
  } else {
    if (inside) {
      block = more_right(first_column + place.x, first + place.y);
    }
    keep_right(place, block);
  }
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

struct Tile {
  c00: mat4x4f,
  c01: mat4x4f,
  c10: mat4x4f,
  c11: mat4x4f,
}

// What the staged pieces add to a thread's sums.
fn add_piece(tile: ptr<function, Tile>, thread: vec2u) {
  for (var q = 0u; q < DEEP; q++) {
    let l0 = staged_left(thread.y, q);
    let r0 = staged_right(thread.x, q);
    (*tile).c00 += r0 * l0;
    if (ACROSS > 1u) {
      (*tile).c01 += staged_right(thread.x + LANES, q) * l0;
    }
    if (DOWN > 1u) {
      let l1 = staged_left(thread.y + LINES, q);
      (*tile).c10 += r0 * l1;
      if (ACROSS > 1u) {
        (*tile).c11 += staged_right(thread.x + LANES, q) * l1;
      }
    }
  }
}

@compute @workgroup_size(LANES, LINES)
fn product(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Neighbouring groups share the rows of a.
  let id = linear_group(group, groups);
  let across = (params.n + 4u * WIDE - 1u) / (4u * WIDE);
  let down = (params.m + 4u * TALL - 1u) / (4u * TALL);
  let slice = id / (across * down);
  if (slice >= params.slices) {
    return;
  }
  let first_row = id / across % down * TALL;
  let first_column = id % across * WIDE;

  var tile: Tile;
  let depth = (params.k + 3u) / 4u;
  let length = (depth + params.slices - 1u) / params.slices;
  let end = min((slice + 1u) * length, depth);
  for (var first = slice * length; first < end; first += DEEP) {
    for (var e = lane; e < DEEP * (TALL + WIDE); e += LINES * LANES) {
      if (e < DEEP * TALL) {
        stage_left(e, first_row, first, depth);
      } else {
        stage_right(e - DEEP * TALL, first_column, first, end, depth);
      }
    }
    workgroupBarrier();
    add_piece(&tile, thread.xy);
    workgroupBarrier();
  }
  for (var first = 0u; first < more_depth(); first += DEEP) {
    for (var e = lane; e < DEEP * (TALL + WIDE); e += LINES * LANES) {
      stage_more(e, first_row, first_column, first);
    }
    workgroupBarrier();
    add_piece(&tile, thread.xy);
    workgroupBarrier();
  }

  // By a loop, as in matmul.wgsl.
  let blocks = array<mat4x4f, 4>(tile.c00, tile.c01, tile.c10, tile.c11);
  for (var t = 0u; t < DOWN * ACROSS * 4u; t++) {
    let d = t / (ACROSS * 4u);
    let q = t / 4u % ACROSS;
    let row = 4u * (first_row + thread.y + LINES * d) + t % 4u;
    store_row(slice, row, first_column + thread.x + LANES * q, blocks[2u * d + q][t % 4u]);
  }
}
