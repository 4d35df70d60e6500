// The registers and exchanges of the four threads (a quad) of attention-quad.wgsl. A quad computes a head of 4 · BLOCKS tokens; each of
// its threads has every fourth vector of them, as blocks of four tokens, one token per column. Rows of other tokens are processed two at a
// time. lib/attention.wgsl declares the bindings.
// Indices into the registers are written out, because an index computed in a loop costs as much as reading memory.

const BLOCKS: u32 = 4; // blocks of four tokens: VECTORS · BLOCKS is at most 16
const VECTORS = (HEAD_VECTORS + 3u) / 4u; // of a head, in a thread
const HELD = VECTORS * BLOCKS;

alias Held = array<mat4x4f, 16>; // vector v of block b at v · BLOCKS + b
alias Rows = array<mat2x4f, 16>; // vector v of two tokens
alias Pairs = array<mat2x4f, 4>; // by block: a number for each of its tokens, with either of two others

// The part of a thread: `tokens` are its own, one of each block, whose softmax it computes for the quad.
struct Place {
  first_token: u32,
  head: u32,
  part: u32,
  tokens: vec4u,
  own: vec4f, // 1 for the own token of a block
}

// Tokens past the last repeat the last one; their results are not stored.
fn place_of(group: vec3u, groups: vec3u, part: u32, heads: u32) -> Place {
  let id = linear_group(group, groups);
  let first = id / heads * 4u * BLOCKS;
  let tokens = first + 4u * min(FOUR, vec4u(BLOCKS - 1u)) + part;
  return Place(first, id % heads, part, min(tokens, vec4u(params.tokens - 1u)), vec4f(FOUR == vec4u(part)));
}

// The least range around those of all four threads.
fn range_of_quad(range: Ranges) -> vec2u {
  let first = min(range.first, quadSwapX(range.first));
  let end = max(range.end, quadSwapX(range.end));
  return vec2u(min(first, quadSwapY(first)), max(end, quadSwapY(end)));
}

// Number of pairs of tokens in a range.
fn turns_in(range: vec2u) -> u32 {
  return (max(range.y, range.x) - range.x + 1u) / 2u;
}

// The keys that a quad's queries see, two per iteration: those of their prefixes, then those of their segments. This is a single loop, because
// every additional loop carries all sums once more and takes that much longer to compile.
struct Keys {
  prefix: Ranges,
  segment: Ranges,
  first: vec2u, // key of either
  prefix_turns: u32,
  turns: u32,
}

fn keys_of_quad(tokens: vec4u) -> Keys {
  let prefix = taken_keys(tokens, 0u);
  let segment = taken_keys(tokens, 1u);
  let before = range_of_quad(prefix);
  let own = range_of_quad(segment);
  return Keys(prefix, segment, vec2u(before.x, own.x), turns_in(before), turns_in(before) + turns_in(own));
}

fn seen_in(keys: Keys, turn: u32) -> Ranges {
  let in_prefix = turn < keys.prefix_turns;
  return Ranges(
    select(keys.segment.starts, keys.prefix.starts, in_prefix),
    select(keys.segment.ends, keys.prefix.ends, in_prefix),
    0u,
    0u,
  );
}

fn key_in(keys: Keys, turn: u32) -> u32 {
  return select(keys.first.y + 2u * (turn - keys.prefix_turns), keys.first.x + 2u * turn, turn < keys.prefix_turns);
}

// A token and the next.
fn two_from(token: u32) -> vec4u {
  return min(token + FOUR, vec4u(params.tokens - 1u));
}

// The offset of vector v of a thread in a head. Past the end it is the last vector again, multiplied by zeros.
fn vector_at(v: u32, part: u32) -> u32 {
  return min(4u * v + part, HEAD_VECTORS - 1u);
}

fn two_queries(at: vec4u, v: u32, part: u32) -> mat2x4f {
  let vector = at + vector_at(v, part);
  return mat2x4f(query[vector.x], query[vector.y]);
}

fn two_dys(at: vec4u, v: u32, part: u32) -> mat2x4f {
  let vector = at + vector_at(v, part);
  return mat2x4f(dy[vector.x], dy[vector.y]);
}

fn two_keys(at: vec4u, v: u32, part: u32) -> mat2x4f {
  let vector = at + vector_at(v, part);
  return mat2x4f(key[vector.x], key[vector.y]);
}

fn two_values(at: vec4u, v: u32, part: u32) -> mat2x4f {
  let vector = at + vector_at(v, part);
  return mat2x4f(value[vector.x], value[vector.y]);
}

fn read_keys(keys: ptr<function, Rows>, values: ptr<function, Rows>, at: vec4u, part: u32) {
  (*keys)[0] = two_keys(at, 0u, part);
  (*values)[0] = two_values(at, 0u, part);
  if (VECTORS > 1u) { (*keys)[1] = two_keys(at, 1u, part); (*values)[1] = two_values(at, 1u, part); }
  if (VECTORS > 2u) { (*keys)[2] = two_keys(at, 2u, part); (*values)[2] = two_values(at, 2u, part); }
  if (VECTORS > 3u) { (*keys)[3] = two_keys(at, 3u, part); (*values)[3] = two_values(at, 3u, part); }
  if (VECTORS > 4u) { (*keys)[4] = two_keys(at, 4u, part); (*values)[4] = two_values(at, 4u, part); }
  if (VECTORS > 5u) { (*keys)[5] = two_keys(at, 5u, part); (*values)[5] = two_values(at, 5u, part); }
  if (VECTORS > 6u) { (*keys)[6] = two_keys(at, 6u, part); (*values)[6] = two_values(at, 6u, part); }
  if (VECTORS > 7u) { (*keys)[7] = two_keys(at, 7u, part); (*values)[7] = two_values(at, 7u, part); }
  if (VECTORS > 8u) { (*keys)[8] = two_keys(at, 8u, part); (*values)[8] = two_values(at, 8u, part); }
  if (VECTORS > 9u) { (*keys)[9] = two_keys(at, 9u, part); (*values)[9] = two_values(at, 9u, part); }
  if (VECTORS > 10u) { (*keys)[10] = two_keys(at, 10u, part); (*values)[10] = two_values(at, 10u, part); }
  if (VECTORS > 11u) { (*keys)[11] = two_keys(at, 11u, part); (*values)[11] = two_values(at, 11u, part); }
  if (VECTORS > 12u) { (*keys)[12] = two_keys(at, 12u, part); (*values)[12] = two_values(at, 12u, part); }
  if (VECTORS > 13u) { (*keys)[13] = two_keys(at, 13u, part); (*values)[13] = two_values(at, 13u, part); }
  if (VECTORS > 14u) { (*keys)[14] = two_keys(at, 14u, part); (*values)[14] = two_values(at, 14u, part); }
  if (VECTORS > 15u) { (*keys)[15] = two_keys(at, 15u, part); (*values)[15] = two_values(at, 15u, part); }
}

fn read_queries(queries: ptr<function, Rows>, dys: ptr<function, Rows>, at: vec4u, part: u32) {
  (*queries)[0] = two_queries(at, 0u, part);
  (*dys)[0] = two_dys(at, 0u, part);
  if (VECTORS > 1u) { (*queries)[1] = two_queries(at, 1u, part); (*dys)[1] = two_dys(at, 1u, part); }
  if (VECTORS > 2u) { (*queries)[2] = two_queries(at, 2u, part); (*dys)[2] = two_dys(at, 2u, part); }
  if (VECTORS > 3u) { (*queries)[3] = two_queries(at, 3u, part); (*dys)[3] = two_dys(at, 3u, part); }
  if (VECTORS > 4u) { (*queries)[4] = two_queries(at, 4u, part); (*dys)[4] = two_dys(at, 4u, part); }
  if (VECTORS > 5u) { (*queries)[5] = two_queries(at, 5u, part); (*dys)[5] = two_dys(at, 5u, part); }
  if (VECTORS > 6u) { (*queries)[6] = two_queries(at, 6u, part); (*dys)[6] = two_dys(at, 6u, part); }
  if (VECTORS > 7u) { (*queries)[7] = two_queries(at, 7u, part); (*dys)[7] = two_dys(at, 7u, part); }
  if (VECTORS > 8u) { (*queries)[8] = two_queries(at, 8u, part); (*dys)[8] = two_dys(at, 8u, part); }
  if (VECTORS > 9u) { (*queries)[9] = two_queries(at, 9u, part); (*dys)[9] = two_dys(at, 9u, part); }
  if (VECTORS > 10u) { (*queries)[10] = two_queries(at, 10u, part); (*dys)[10] = two_dys(at, 10u, part); }
  if (VECTORS > 11u) { (*queries)[11] = two_queries(at, 11u, part); (*dys)[11] = two_dys(at, 11u, part); }
  if (VECTORS > 12u) { (*queries)[12] = two_queries(at, 12u, part); (*dys)[12] = two_dys(at, 12u, part); }
  if (VECTORS > 13u) { (*queries)[13] = two_queries(at, 13u, part); (*dys)[13] = two_dys(at, 13u, part); }
  if (VECTORS > 14u) { (*queries)[14] = two_queries(at, 14u, part); (*dys)[14] = two_dys(at, 14u, part); }
  if (VECTORS > 15u) { (*queries)[15] = two_queries(at, 15u, part); (*dys)[15] = two_dys(at, 15u, part); }
}

// This thread's part of the products of the held blocks with two rows.
fn parts_of_products(held: ptr<function, Held>, rows: ptr<function, Rows>) -> Pairs {
  var sums: Pairs;
  sums[0u % BLOCKS] += transpose((*held)[0]) * (*rows)[0u / BLOCKS];
  if (HELD > 1u) { sums[1u % BLOCKS] += transpose((*held)[1]) * (*rows)[1u / BLOCKS]; }
  if (HELD > 2u) { sums[2u % BLOCKS] += transpose((*held)[2]) * (*rows)[2u / BLOCKS]; }
  if (HELD > 3u) { sums[3u % BLOCKS] += transpose((*held)[3]) * (*rows)[3u / BLOCKS]; }
  if (HELD > 4u) { sums[4u % BLOCKS] += transpose((*held)[4]) * (*rows)[4u / BLOCKS]; }
  if (HELD > 5u) { sums[5u % BLOCKS] += transpose((*held)[5]) * (*rows)[5u / BLOCKS]; }
  if (HELD > 6u) { sums[6u % BLOCKS] += transpose((*held)[6]) * (*rows)[6u / BLOCKS]; }
  if (HELD > 7u) { sums[7u % BLOCKS] += transpose((*held)[7]) * (*rows)[7u / BLOCKS]; }
  if (HELD > 8u) { sums[8u % BLOCKS] += transpose((*held)[8]) * (*rows)[8u / BLOCKS]; }
  if (HELD > 9u) { sums[9u % BLOCKS] += transpose((*held)[9]) * (*rows)[9u / BLOCKS]; }
  if (HELD > 10u) { sums[10u % BLOCKS] += transpose((*held)[10]) * (*rows)[10u / BLOCKS]; }
  if (HELD > 11u) { sums[11u % BLOCKS] += transpose((*held)[11]) * (*rows)[11u / BLOCKS]; }
  if (HELD > 12u) { sums[12u % BLOCKS] += transpose((*held)[12]) * (*rows)[12u / BLOCKS]; }
  if (HELD > 13u) { sums[13u % BLOCKS] += transpose((*held)[13]) * (*rows)[13u / BLOCKS]; }
  if (HELD > 14u) { sums[14u % BLOCKS] += transpose((*held)[14]) * (*rows)[14u / BLOCKS]; }
  if (HELD > 15u) { sums[15u % BLOCKS] += transpose((*held)[15]) * (*rows)[15u / BLOCKS]; }
  return sums;
}

fn sum_of_quad(part: vec4f) -> vec4f {
  let sum = part + quadSwapX(part);
  return sum + quadSwapY(sum);
}

// The complete products of the own tokens, one component per block.
fn products(held: ptr<function, Held>, rows: ptr<function, Rows>, own: vec4f) -> mat2x4f {
  var parts = parts_of_products(held, rows);
  var sums: mat2x4f;
  sums[0].x = dot(sum_of_quad(parts[0][0]), own);
  sums[1].x = dot(sum_of_quad(parts[0][1]), own);
  if (BLOCKS > 1u) {
    sums[0].y = dot(sum_of_quad(parts[1][0]), own);
    sums[1].y = dot(sum_of_quad(parts[1][1]), own);
  }
  if (BLOCKS > 2u) {
    sums[0].z = dot(sum_of_quad(parts[2][0]), own);
    sums[1].z = dot(sum_of_quad(parts[2][1]), own);
  }
  if (BLOCKS > 3u) {
    sums[0].w = dot(sum_of_quad(parts[3][0]), own);
    sums[1].w = dot(sum_of_quad(parts[3][1]), own);
  }
  return sums;
}

// Distributes each thread's values of its own tokens to all threads: one column per block.
fn spread(own: vec4f) -> mat4x4f {
  return transpose(
    mat4x4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u)),
  );
}

fn spread_pairs(own: mat2x4f) -> Pairs {
  let first = spread(own[0]);
  let second = spread(own[1]);
  return Pairs(
    mat2x4f(first[0], second[0]),
    mat2x4f(first[1], second[1]),
    mat2x4f(first[2], second[2]),
    mat2x4f(first[3], second[3]),
  );
}

fn by_column(block: mat4x4f, factors: vec4f) -> mat4x4f {
  return mat4x4f(block[0] * factors.x, block[1] * factors.y, block[2] * factors.z, block[3] * factors.w);
}

fn outer(row: vec4f, weights: vec4f) -> mat4x4f {
  return mat4x4f(row * weights.x, row * weights.y, row * weights.z, row * weights.w);
}

// Adds one row after the other, so that the pairing does not matter.
fn added(sum: mat4x4f, rows: mat2x4f, weights: mat2x4f) -> mat4x4f {
  return sum + outer(rows[0], weights[0]) + outer(rows[1], weights[1]);
}

fn add_multiples(sums: ptr<function, Held>, own_weights: mat2x4f, rows: ptr<function, Rows>) {
  var weights = spread_pairs(own_weights);
  (*sums)[0] = added((*sums)[0], (*rows)[0u / BLOCKS], weights[0u % BLOCKS]);
  if (HELD > 1u) { (*sums)[1] = added((*sums)[1], (*rows)[1u / BLOCKS], weights[1u % BLOCKS]); }
  if (HELD > 2u) { (*sums)[2] = added((*sums)[2], (*rows)[2u / BLOCKS], weights[2u % BLOCKS]); }
  if (HELD > 3u) { (*sums)[3] = added((*sums)[3], (*rows)[3u / BLOCKS], weights[3u % BLOCKS]); }
  if (HELD > 4u) { (*sums)[4] = added((*sums)[4], (*rows)[4u / BLOCKS], weights[4u % BLOCKS]); }
  if (HELD > 5u) { (*sums)[5] = added((*sums)[5], (*rows)[5u / BLOCKS], weights[5u % BLOCKS]); }
  if (HELD > 6u) { (*sums)[6] = added((*sums)[6], (*rows)[6u / BLOCKS], weights[6u % BLOCKS]); }
  if (HELD > 7u) { (*sums)[7] = added((*sums)[7], (*rows)[7u / BLOCKS], weights[7u % BLOCKS]); }
  if (HELD > 8u) { (*sums)[8] = added((*sums)[8], (*rows)[8u / BLOCKS], weights[8u % BLOCKS]); }
  if (HELD > 9u) { (*sums)[9] = added((*sums)[9], (*rows)[9u / BLOCKS], weights[9u % BLOCKS]); }
  if (HELD > 10u) { (*sums)[10] = added((*sums)[10], (*rows)[10u / BLOCKS], weights[10u % BLOCKS]); }
  if (HELD > 11u) { (*sums)[11] = added((*sums)[11], (*rows)[11u / BLOCKS], weights[11u % BLOCKS]); }
  if (HELD > 12u) { (*sums)[12] = added((*sums)[12], (*rows)[12u / BLOCKS], weights[12u % BLOCKS]); }
  if (HELD > 13u) { (*sums)[13] = added((*sums)[13], (*rows)[13u / BLOCKS], weights[13u % BLOCKS]); }
  if (HELD > 14u) { (*sums)[14] = added((*sums)[14], (*rows)[14u / BLOCKS], weights[14u % BLOCKS]); }
  if (HELD > 15u) { (*sums)[15] = added((*sums)[15], (*rows)[15u / BLOCKS], weights[15u % BLOCKS]); }
}

fn scale_held(sums: ptr<function, Held>, own_factors: vec4f) {
  var factors = spread(own_factors);
  (*sums)[0] = by_column((*sums)[0], factors[0u % BLOCKS]);
  if (HELD > 1u) { (*sums)[1] = by_column((*sums)[1], factors[1u % BLOCKS]); }
  if (HELD > 2u) { (*sums)[2] = by_column((*sums)[2], factors[2u % BLOCKS]); }
  if (HELD > 3u) { (*sums)[3] = by_column((*sums)[3], factors[3u % BLOCKS]); }
  if (HELD > 4u) { (*sums)[4] = by_column((*sums)[4], factors[4u % BLOCKS]); }
  if (HELD > 5u) { (*sums)[5] = by_column((*sums)[5], factors[5u % BLOCKS]); }
  if (HELD > 6u) { (*sums)[6] = by_column((*sums)[6], factors[6u % BLOCKS]); }
  if (HELD > 7u) { (*sums)[7] = by_column((*sums)[7], factors[7u % BLOCKS]); }
  if (HELD > 8u) { (*sums)[8] = by_column((*sums)[8], factors[8u % BLOCKS]); }
  if (HELD > 9u) { (*sums)[9] = by_column((*sums)[9], factors[9u % BLOCKS]); }
  if (HELD > 10u) { (*sums)[10] = by_column((*sums)[10], factors[10u % BLOCKS]); }
  if (HELD > 11u) { (*sums)[11] = by_column((*sums)[11], factors[11u % BLOCKS]); }
  if (HELD > 12u) { (*sums)[12] = by_column((*sums)[12], factors[12u % BLOCKS]); }
  if (HELD > 13u) { (*sums)[13] = by_column((*sums)[13], factors[13u % BLOCKS]); }
  if (HELD > 14u) { (*sums)[14] = by_column((*sums)[14], factors[14u % BLOCKS]); }
  if (HELD > 15u) { (*sums)[15] = by_column((*sums)[15], factors[15u % BLOCKS]); }
}

fn hold_query(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = query_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS; v++) {
      let inside = f32(4u * v + place.part < HEAD_VECTORS);
      held[v * BLOCKS + t / 4u][t % 4u] = inside * query[at + vector_at(v, place.part)];
    }
  }
  return held;
}

fn hold_dy(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = query_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS; v++) {
      let inside = f32(4u * v + place.part < HEAD_VECTORS);
      held[v * BLOCKS + t / 4u][t % 4u] = inside * dy[at + vector_at(v, place.part)];
    }
  }
  return held;
}

fn hold_key(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = key_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS; v++) {
      let inside = f32(4u * v + place.part < HEAD_VECTORS);
      held[v * BLOCKS + t / 4u][t % 4u] = inside * key[at + vector_at(v, place.part)];
    }
  }
  return held;
}

fn hold_value(place: Place) -> Held {
  var held: Held;
  for (var t = 0u; t < 4u * BLOCKS; t++) {
    let at = key_at(two_from(place.first_token + t), place.head).x;
    for (var v = 0u; v < VECTORS; v++) {
      let inside = f32(4u * v + place.part < HEAD_VECTORS);
      held[v * BLOCKS + t / 4u][t % 4u] = inside * value[at + vector_at(v, place.part)];
    }
  }
  return held;
}
