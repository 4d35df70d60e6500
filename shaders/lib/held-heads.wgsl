// The registers of a thread of attention.wgsl: heads of one token or of four neighbors, as 4 × 4 blocks of 16
// coordinates. lib/attention.wgsl declares the bindings. A value of token t is component t of a vector, so the
// number of tokens is a constant rather than another copy of the kernel.

const WORKGROUP: u32 = 64;
const PARTS: u32 = 1; // ceil(HEAD_VECTORS / 4): threads that share a head
const TOKENS: u32 = 1; // tokens of a thread, 1 or 4

// The part of a thread: its tokens, the head, and the first of its four vectors.
struct Place {
  first_token: u32,
  tokens: vec4u,
  head: u32,
  first: u32,
  valid: bool,
}

// Tokens past the last repeat the last one; their results are not stored.
fn place_of(group: vec3u, groups: vec3u, lane: u32, heads: u32) -> Place {
  let id = linear_group(group, groups) * WORKGROUP + lane;
  let head = id / PARTS;
  let token = head / heads * TOKENS;
  let tokens = min(token + FOUR * (TOKENS / 4u), vec4u(params.tokens - 1u));
  return Place(token, tokens, head % heads, (id % PARTS) * 4u, token < params.tokens);
}

// Four vectors of a head. If the width is not a multiple of 16, the last part has fewer; the rest reads as zero.
fn vectors_at(start: u32, first: u32) -> vec4u {
  return start + min(first + FOUR, vec4u(HEAD_VECTORS - 1u));
}

fn trimmed(block: mat4x4f, first: u32) -> mat4x4f {
  if (HEAD_VECTORS % 4u == 0u) {
    return block;
  }
  let keep = vec4f(first + FOUR < vec4u(HEAD_VECTORS));
  return mat4x4f(block[0] * keep.x, block[1] * keep.y, block[2] * keep.z, block[3] * keep.w);
}

fn query_block(start: u32, first: u32) -> mat4x4f {
  let at = vectors_at(start, first);
  return trimmed(mat4x4f(query[at.x], query[at.y], query[at.z], query[at.w]), first);
}

fn key_block(start: u32, first: u32) -> mat4x4f {
  let at = vectors_at(start, first);
  return trimmed(mat4x4f(key[at.x], key[at.y], key[at.z], key[at.w]), first);
}

fn value_block(start: u32, first: u32) -> mat4x4f {
  let at = vectors_at(start, first);
  return trimmed(mat4x4f(value[at.x], value[at.y], value[at.z], value[at.w]), first);
}

fn dy_block(start: u32, first: u32) -> mat4x4f {
  let at = vectors_at(start, first);
  return trimmed(mat4x4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), first);
}

fn inner(a: mat4x4f, b: mat4x4f) -> f32 {
  return dot(a[0], b[0]) + dot(a[1], b[1]) + dot(a[2], b[2]) + dot(a[3], b[3]);
}

// Four tokens' own blocks of one tensor.
struct Held {
  t0: mat4x4f,
  t1: mat4x4f,
  t2: mat4x4f,
  t3: mat4x4f,
}

fn inners(held: Held, block: mat4x4f) -> vec4f {
  if (TOKENS == 1u) {
    return vec4f(inner(held.t0, block));
  }
  return vec4f(inner(held.t0, block), inner(held.t1, block), inner(held.t2, block), inner(held.t3, block));
}

// The same for blocks that are not kept in registers but read for every score.
fn query_inners(starts: vec4u, first: u32, block: mat4x4f) -> vec4f {
  var products = vec4f(inner(query_block(starts.x, first), block));
  if (TOKENS == 4u) {
    products.y = inner(query_block(starts.y, first), block);
    products.z = inner(query_block(starts.z, first), block);
    products.w = inner(query_block(starts.w, first), block);
  }
  return products;
}

fn key_inners(starts: vec4u, first: u32, block: mat4x4f) -> vec4f {
  var products = vec4f(inner(key_block(starts.x, first), block));
  if (TOKENS == 4u) {
    products.y = inner(key_block(starts.y, first), block);
    products.z = inner(key_block(starts.z, first), block);
    products.w = inner(key_block(starts.w, first), block);
  }
  return products;
}

fn value_inners(starts: vec4u, first: u32, block: mat4x4f) -> vec4f {
  var products = vec4f(inner(value_block(starts.x, first), block));
  if (TOKENS == 4u) {
    products.y = inner(value_block(starts.y, first), block);
    products.z = inner(value_block(starts.z, first), block);
    products.w = inner(value_block(starts.w, first), block);
  }
  return products;
}

fn dy_inners(starts: vec4u, first: u32, block: mat4x4f) -> vec4f {
  var products = vec4f(inner(dy_block(starts.x, first), block));
  if (TOKENS == 4u) {
    products.y = inner(dy_block(starts.y, first), block);
    products.z = inner(dy_block(starts.z, first), block);
    products.w = inner(dy_block(starts.w, first), block);
  }
  return products;
}

fn add_multiples(sums: ptr<function, Held>, factors: vec4f, block: mat4x4f) {
  (*sums).t0 += factors.x * block;
  if (TOKENS == 4u) {
    (*sums).t1 += factors.y * block;
    (*sums).t2 += factors.z * block;
    (*sums).t3 += factors.w * block;
  }
}

// The first 64 coordinates of a head for scores; wider heads read the rest again for every score.
struct Whole {
  c0: Held,
  c1: Held,
  c2: Held,
  c3: Held,
}

fn whole_query(starts: vec4u) -> Whole {
  var held: array<Held, 4>;
  for (var c = 0u; c < min(PARTS, 4u); c++) {
    held[c] = hold_query(starts, 4u * c);
  }
  return Whole(held[0], held[1], held[2], held[3]);
}

fn whole_key(starts: vec4u) -> Whole {
  var held: array<Held, 4>;
  for (var c = 0u; c < min(PARTS, 4u); c++) {
    held[c] = hold_key(starts, 4u * c);
  }
  return Whole(held[0], held[1], held[2], held[3]);
}

fn whole_value(starts: vec4u) -> Whole {
  var held: array<Held, 4>;
  for (var c = 0u; c < min(PARTS, 4u); c++) {
    held[c] = hold_value(starts, 4u * c);
  }
  return Whole(held[0], held[1], held[2], held[3]);
}

fn whole_dy(starts: vec4u) -> Whole {
  var held: array<Held, 4>;
  for (var c = 0u; c < min(PARTS, 4u); c++) {
    held[c] = hold_dy(starts, 4u * c);
  }
  return Whole(held[0], held[1], held[2], held[3]);
}

// query · key of four tokens and the head that starts at `at`, whose first block is given.
fn query_products(whole: Whole, starts: vec4u, at: u32, block: mat4x4f) -> vec4f {
  var sum = inners(whole.c0, block);
  if (PARTS > 1u) {
    sum += inners(whole.c1, key_block(at, 4u));
  }
  if (PARTS > 2u) {
    sum += inners(whole.c2, key_block(at, 8u));
  }
  if (PARTS > 3u) {
    sum += inners(whole.c3, key_block(at, 12u));
  }
  if (HEAD_VECTORS > 16u) {
    for (var first = 16u; first < HEAD_VECTORS; first += 4u) {
      sum += query_inners(starts, first, key_block(at, first));
    }
  }
  return sum;
}

// key · query of four tokens and the head that starts at `at`, whose first block is given.
fn key_products(whole: Whole, starts: vec4u, at: u32, block: mat4x4f) -> vec4f {
  var sum = inners(whole.c0, block);
  if (PARTS > 1u) {
    sum += inners(whole.c1, query_block(at, 4u));
  }
  if (PARTS > 2u) {
    sum += inners(whole.c2, query_block(at, 8u));
  }
  if (PARTS > 3u) {
    sum += inners(whole.c3, query_block(at, 12u));
  }
  if (HEAD_VECTORS > 16u) {
    for (var first = 16u; first < HEAD_VECTORS; first += 4u) {
      sum += key_inners(starts, first, query_block(at, first));
    }
  }
  return sum;
}

// value · dy of four tokens and the head that starts at `at`, whose first block is given.
fn value_products(whole: Whole, starts: vec4u, at: u32, block: mat4x4f) -> vec4f {
  var sum = inners(whole.c0, block);
  if (PARTS > 1u) {
    sum += inners(whole.c1, dy_block(at, 4u));
  }
  if (PARTS > 2u) {
    sum += inners(whole.c2, dy_block(at, 8u));
  }
  if (PARTS > 3u) {
    sum += inners(whole.c3, dy_block(at, 12u));
  }
  if (HEAD_VECTORS > 16u) {
    for (var first = 16u; first < HEAD_VECTORS; first += 4u) {
      sum += value_inners(starts, first, dy_block(at, first));
    }
  }
  return sum;
}

// dy · value of four tokens and the head that starts at `at`, whose first block is given.
fn dy_products(whole: Whole, starts: vec4u, at: u32, block: mat4x4f) -> vec4f {
  var sum = inners(whole.c0, block);
  if (PARTS > 1u) {
    sum += inners(whole.c1, value_block(at, 4u));
  }
  if (PARTS > 2u) {
    sum += inners(whole.c2, value_block(at, 8u));
  }
  if (PARTS > 3u) {
    sum += inners(whole.c3, value_block(at, 12u));
  }
  if (HEAD_VECTORS > 16u) {
    for (var first = 16u; first < HEAD_VECTORS; first += 4u) {
      sum += dy_inners(starts, first, value_block(at, first));
    }
  }
  return sum;
}

fn hold_query(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    blocks[t] = query_block(starts[t], first);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}

fn hold_key(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    blocks[t] = key_block(starts[t], first);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}

fn hold_value(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    blocks[t] = value_block(starts[t], first);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}

fn hold_dy(starts: vec4u, first: u32) -> Held {
  var blocks: array<mat4x4f, 4>;
  for (var t = 0u; t < TOKENS; t++) {
    blocks[t] = dy_block(starts[t], first);
  }
  return Held(blocks[0], blocks[1], blocks[2], blocks[3]);
}
