// Shared by the attention kernels: bindings, and the rule for which keys a query sees and which queries see a key,
// as defined by the spans.

#include "lib/soft-cap.wgsl"

alias Capped = vec4f;

struct Params {
  tokens: u32,
  heads: u32,
  kv_heads: u32,
  scale: f32,
  accumulate_query: u32,
  accumulate_key: u32,
  accumulate_value: u32,
  start: u32, // range of keys of this dispatch; of queries in backward_key_value
  stop: u32,
  from_head: u32, // range of query heads of backward_key_value, among those that share a key head
  to_head: u32,
  soft_cap: f32, // of scores, if CAPPED
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> query: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(2) var<storage, read> key: array<vec4f>; // (tokens, kv_heads · head_dim)
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // (tokens, kv_heads · head_dim)
@group(0) @binding(4) var<storage, read> spans: array<vec4u>; // (tokens): prefix start, prefix end, start, query end
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(6) var<storage, read_write> lse: array<f32>; // (tokens, heads); under PIECEWISE followed by states
@group(0) @binding(7) var<storage, read> dy: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(8) var<storage, read> saved_y: array<vec4f>; // (tokens, heads · head_dim)
@group(0) @binding(9) var<storage, read> saved_lse: array<f32>; // (tokens, heads)
@group(0) @binding(10) var<storage, read> row_stats: array<vec2f>; // (tokens, heads): log-sum-exp, rowsum(dy · y)
@group(0) @binding(11) var<storage, read_write> row_stats_out: array<vec2f>; // the same, as backward_rows writes it
@group(0) @binding(12) var<storage, read_write> dquery: array<vec4f>;
@group(0) @binding(13) var<storage, read_write> dkey: array<vec4f>;
@group(0) @binding(14) var<storage, read_write> dvalue: array<vec4f>;

const HEAD_VECTORS: u32 = 4; // head_dim / 4
const WINDOW: u32 = 0; // positions that a query attends to, including itself; 0 for all
// Several dispatches, each for a range of keys or queries. Running sums are kept in y and in the gradients, which are set, not
// added to; the state of the softmax is stored after the log-sum-exps. The result does not depend on the ranges.
const PIECEWISE: bool = false;
const CAPPED: bool = false; // scores go through the soft cap

const LOWEST: f32 = -3.0e38;
const FOUR = vec4u(0u, 1u, 2u, 3u);

// Attention scores from products of queries and keys.
fn scores_of(products: vec4f) -> vec4f {
  if (CAPPED) {
    return soft_capped(products * params.scale, params.soft_cap);
  }
  return products * params.scale;
}

// d score / d product
fn score_slopes(scores: vec4f) -> vec4f {
  if (CAPPED) {
    return params.scale * soft_cap_slope(scores, params.soft_cap);
  }
  return vec4f(params.scale);
}

fn query_at(token: vec4u, head: u32) -> vec4u {
  return (token * params.heads + head) * HEAD_VECTORS;
}

fn key_at(token: vec4u, head: u32) -> vec4u {
  return (token * params.kv_heads + head) * HEAD_VECTORS;
}

// A range [starts, ends) for each token, and the least range around those that are not empty.
struct Ranges {
  starts: vec4u,
  ends: vec4u,
  first: u32,
  end: u32,
}

fn ranges(starts: vec4u, ends: vec4u) -> Ranges {
  let empty = ends <= starts;
  let low = select(starts, vec4u(0xffffffffu), empty);
  let high = select(ends, vec4u(), empty);
  return Ranges(starts, ends, min(min(low.x, low.y), min(low.z, low.w)), max(max(high.x, high.y), max(high.z, high.w)));
}

fn covers(range: Ranges, i: u32) -> vec4<bool> {
  return (range.starts <= vec4u(i)) & (vec4u(i) < range.ends);
}

// The keys that a thread's queries attend to: in pass 0 those of their prefixes, in pass 1 those of their segments.
fn seen_keys(tokens: vec4u, pass_index: u32) -> Ranges {
  let s0 = spans[tokens.x];
  let s1 = spans[tokens.y];
  let s2 = spans[tokens.z];
  let s3 = spans[tokens.w];
  let starts = vec4u(s0.z, s1.z, s2.z, s3.z);
  if (pass_index == 0u) {
    let ends = vec4u(s0.y, s1.y, s2.y, s3.y);
    // A segment continues where its prefix ends.
    return ranges(windowed(vec4u(s0.x, s1.x, s2.x, s3.x), ends + tokens + 1u - starts), ends);
  }
  return ranges(windowed(starts, tokens + 1u), tokens + 1u);
}

// The part of them in the range of this dispatch.
fn taken_keys(tokens: vec4u, pass_index: u32) -> Ranges {
  let seen = seen_keys(tokens, pass_index);
  if (!PIECEWISE) {
    return seen;
  }
  return ranges(max(seen.starts, vec4u(params.start)), min(seen.ends, vec4u(params.stop)));
}

// Whether the queries see no key in the range of this dispatch.
fn takes_none(tokens: vec4u) -> bool {
  return max(taken_keys(tokens, 0u).end, taken_keys(tokens, 1u).end) == 0u;
}

// The first visible keys, for the last query before `ends`.
fn windowed(starts: vec4u, ends: vec4u) -> vec4u {
  if (WINDOW == 0u) {
    return starts;
  }
  return max(starts, ends - min(ends, vec4u(WINDOW)));
}

// Which of a thread's keys are within the window of query i.
fn in_window(tokens: vec4u, i: u32) -> vec4<bool> {
  if (WINDOW == 0u) {
    return vec4<bool>(true);
  }
  let span = spans[i];
  let back = select(vec4u(span.y + i - span.z), vec4u(i), tokens >= vec4u(span.z)) - tokens;
  return back < vec4u(WINDOW);
}

// The queries that attend to the keys of a thread.
fn seeing_queries(tokens: vec4u) -> Ranges {
  return ranges(tokens, vec4u(spans[tokens.x].w, spans[tokens.y].w, spans[tokens.z].w, spans[tokens.w].w));
}

// The part of them in the range of this dispatch.
fn taken_queries(tokens: vec4u) -> Ranges {
  let seeing = seeing_queries(tokens);
  if (!PIECEWISE) {
    return seeing;
  }
  return ranges(max(seeing.starts, vec4u(params.start)), min(seeing.ends, vec4u(params.stop)));
}

// Whether there were dispatches before this one.
fn is_begun() -> bool {
  return params.start > 0u || params.from_head > 0u;
}

// Whether a dispatch after this one continues the softmax.
fn goes_on() -> bool {
  return params.stop < params.tokens;
}

// Index of a query's softmax state between dispatches: largest score and sum of weights. Each of the `parts` threads that
// share a head has its own copy, so no thread reads one that another writes.
fn state_at(token: u32, head: u32, part: u32, parts: u32) -> u32 {
  return params.tokens * params.heads + 2u * ((token * params.heads + head) * parts + part);
}
