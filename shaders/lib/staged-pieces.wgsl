// Workgroup attention under PIECEWISE (lib/attention.wgsl): the tiles of a dispatch, and the running sums of the previous
// one.

// The first tile of keys, counted from an origin, that begins in the range of this dispatch.
fn first_taken(origin: u32) -> u32 {
  if (!PIECEWISE) {
    return origin;
  }
  return origin + (max(params.start, origin) - origin + TILE - 1u) / TILE * TILE;
}

// Whether the queries of a tile attend to no key in the range of this dispatch.
fn tile_takes_none(first_query: u32) -> bool {
  var first = ANY;
  var end = 0u;
  for (var b = 0u; b < SIDE; b++) {
    let tokens = rows_of(first_query + 4u * b);
    for (var pass_index = 0u; pass_index < 2u; pass_index++) {
      let seen = seen_keys(tokens, pass_index);
      first = min(first, seen.first);
      end = max(end, seen.end);
    }
  }
  return end <= params.start || first >= params.stop;
}

// Running sums of the previous dispatch, under PIECEWISE.
fn y_blocks(place: Place, mine: u32, lane: u32) -> array<mat4x4f, 4> {
  var blocks: array<mat4x4f, 4>;
  for (var e = 0u; e < 4u * CHUNKS; e++) {
    let vector = place.first + SIDE * (e / 4u) + lane % SIDE;
    if (mine + e % 4u < params.tokens && vector < HEAD_VECTORS) {
      blocks[e / 4u][e % 4u] = y[((mine + e % 4u) * params.heads + place.head) * HEAD_VECTORS + vector];
    }
  }
  return blocks;
}

fn dquery_blocks(place: Place, mine: u32, lane: u32) -> array<mat4x4f, 4> {
  var blocks: array<mat4x4f, 4>;
  for (var e = 0u; e < 4u * CHUNKS; e++) {
    let vector = place.first + SIDE * (e / 4u) + lane % SIDE;
    if (mine + e % 4u < params.tokens && vector < HEAD_VECTORS) {
      blocks[e / 4u][e % 4u] = dquery[((mine + e % 4u) * params.heads + place.head) * HEAD_VECTORS + vector];
    }
  }
  return blocks;
}

fn dkey_blocks(place: Place, mine: u32, lane: u32) -> array<mat4x4f, 4> {
  var blocks: array<mat4x4f, 4>;
  for (var e = 0u; e < 4u * CHUNKS; e++) {
    let vector = place.first + SIDE * (e / 4u) + lane % SIDE;
    if (mine + e % 4u < params.tokens && vector < HEAD_VECTORS) {
      blocks[e / 4u][e % 4u] = dkey[((mine + e % 4u) * params.kv_heads + place.head) * HEAD_VECTORS + vector];
    }
  }
  return blocks;
}

fn dvalue_blocks(place: Place, mine: u32, lane: u32) -> array<mat4x4f, 4> {
  var blocks: array<mat4x4f, 4>;
  for (var e = 0u; e < 4u * CHUNKS; e++) {
    let vector = place.first + SIDE * (e / 4u) + lane % SIDE;
    if (mine + e % 4u < params.tokens && vector < HEAD_VECTORS) {
      blocks[e / 4u][e % 4u] = dvalue[((mine + e % 4u) * params.kv_heads + place.head) * HEAD_VECTORS + vector];
    }
  }
  return blocks;
}
