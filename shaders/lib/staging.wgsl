// The factors of a matrix product on their way to workgroup memory: which tile of the result a group makes, and which blocks
// of either factor its threads fetch. Blocks are turned and padded with zeros on the way in, so that what follows knows
// nothing of layouts or bounds. The including file says how large a tile is (TALL and WIDE blocks, DEEP at a time along
// k), and what becomes of a block: keep_left and keep_right.

#include "lib/dispatch.wgsl"
#include "lib/product.wgsl"

struct Tile {
  slice: u32,
  first_row: u32, // in blocks, as all that follow
  first_column: u32,
  depth: u32, // of the whole sum, behind which a low-rank pair follows
  begin: u32, // of the slice
  end: u32, // of the slice, and of the pair, if there is one
}

// Neighboring groups share the rows of a.
fn tile_of(group: vec3u, groups: vec3u) -> Tile {
  let id = linear_group(group, groups);
  let across = (params.n + 4u * WIDE - 1u) / (4u * WIDE);
  let down = (params.m + 4u * TALL - 1u) / (4u * TALL);
  let slice = id / (across * down);
  let depth = (params.k + 3u) / 4u;
  let length = (depth + params.slices - 1u) / params.slices;
  let end = min((slice + 1u) * length, depth) + more_depth();
  return Tile(slice, id / across % down * TALL, id % across * WIDE, depth, slice * length, end);
}

// Which block a thread copies: next to those of its neighbors in memory.
fn place_in(piece: u32, size: u32, by_rows: bool) -> vec2u {
  return select(vec2u(piece % size, piece / size), vec2u(piece / DEEP, piece % DEEP), by_rows);
}

fn stage_left(e: u32, tile: Tile, first: u32) {
  let place = place_in(e, TALL, A_BY_ROWS);
  let x = tile.first_row + place.x;
  let i = first + place.y;
  let width = params.a_stride / 4u;
  var block = mat4x4f();
  if (i < tile.depth) {
    let column = min(x, (params.m - 1u) / 4u);
    block = left(rows_at(x * 4u, params.m, width), column, rows_at(i * 4u, params.k, width), i);
  } else if (i < tile.end) {
    block = more_left(x * 4u, i - tile.depth);
  }
  keep_left(place, block);
}

fn stage_right(e: u32, tile: Tile, first: u32) {
  let place = place_in(e, WIDE, B_BY_ROWS);
  let x = tile.first_column + place.x;
  let i = first + place.y;
  let width = params.n / 4u;
  var block = mat4x4f();
  if (i < min(tile.end, tile.depth)) {
    let inside = vec4f(i * 4u + CORNER < vec4u(params.k));
    block = right(rows_at(x * 4u, params.n, tile.depth), min(x, width - 1u), rows_at(i * 4u, params.k, width), i, inside);
  } else if (i < tile.end) {
    block = more_right(x, i - tile.depth);
  }
  keep_right(place, block);
}

// The next piece of either factor, DEEP blocks along k from `first` on, by `threads` threads.
fn stage(tile: Tile, first: u32, lane: u32, threads: u32) {
  for (var e = lane; e < DEEP * (TALL + WIDE); e += threads) {
    if (e < DEEP * TALL) {
      stage_left(e, tile, first);
    } else {
      stage_right(e - DEEP * TALL, tile, first);
    }
  }
}
