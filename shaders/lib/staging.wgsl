// Copies the factors of a matrix product to workgroup memory: defines the tile of the result of each group, and the blocks
// of each factor that its threads load. Blocks are transposed and padded with zeros, so that the remaining code does not
// depend on layouts or bounds. The including file defines the tile size (TALL and WIDE blocks, DEEP at a time along k), and
// stores a block: keep_left and keep_right.

#include "lib/dispatch.wgsl"
#include "lib/product.wgsl"

struct Tile {
  slice: u32,
  first_row: u32, // in blocks, like all following
  first_column: u32,
  depth: u32, // of the whole product; the LoRA term follows it
  begin: u32, // of the slice
  end: u32, // of the slice, and of the LoRA term, if there is one
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

// The block that a thread copies: adjacent in memory to those of its neighbors.
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

// Loads the next piece of each factor, DEEP blocks along k from `first`, with `threads` threads.
fn stage(tile: Tile, first: u32, lane: u32, threads: u32) {
  for (var e = lane; e < DEEP * (TALL + WIDE); e += threads) {
    if (e < DEEP * TALL) {
      stage_left(e, tile, first);
    } else {
      stage_right(e - DEEP * TALL, tile, first);
    }
  }
}
