// The log-probability of one target per row, for a logits buffer (N, V) and for the fused head, which computes the logits
// in vocabulary strips: `forward` adds a strip to the state of every row, `finish` turns states into results, and the
// gradient dlogits = dlogprob · (1[target] − p) goes to a buffer (`backward`) or overwrites the strip (`backward_strip`). A
// whole buffer is one strip of width V. A masked target (−∞), or one outside the vocabulary, has log-probability −∞,
// written as bits, and a zero gradient. The padding of a strip's rows is ignored, and 0 if a product reads the strip.
//
// If the head W is frozen, d logprob / d hidden = W[target] − Σ p W needs no second pass over the logits: `weigh` replaces
// the strip by e^(z − m), a product adds W's rows with these weights to `pull`, which is rescaled as m rises, and
// `backward_pull` turns that into the gradient. A file of formats/ reads W.
// Logits may have a soft cap (CAPPED). Gradients are those of the logits before the cap, and so is the pull.
//
// With filter_eps above 0, a token with p < filter_eps gets no gradient, unless it is the target. Few tokens remain, so
// `pull_sparse` and `head_sparse` find those and only sum their rows, while a product would process every token.

#include "lib/dispatch.wgsl"
#include "lib/online-logsumexp.wgsl"
#include "lib/kept.wgsl"
#include "lib/capped-logits.wgsl"

struct Params {
  rows: u32,
  cols: u32, // width of the strip
  stride: u32, // its row stride
  start: u32, // its first token
  accumulate: u32, // forward: 0 for the first strip. backward: 1 adds to the gradient
  width: u32, // of a hidden state; only for pull
  filter_eps: f32, // gradients omit less probable tokens; 0 omits none
  soft_cap: f32, // of the logits, if CAPPED
}

// The state of a row after some strips; all members have four bytes.
struct TargetState {
  row: Online,
  target_logit: u32, // bits
  rise: f32, // m before the last strip − m now
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // (rows, stride)
@group(0) @binding(2) var<storage, read> targets: array<u32>; // (rows)
@group(0) @binding(3) var<storage, read_write> states: array<TargetState>; // (rows, 7)
@group(0) @binding(4) var<storage, read> saved_states: array<TargetState>; // (rows, 7)
@group(0) @binding(5) var<storage, read_write> logprobs: array<u32>; // (rows)
@group(0) @binding(6) var<storage, read_write> stats: array<f32>; // (rows, 3): entropy, correct, log Σ p²
@group(0) @binding(7) var<storage, read> dlogprobs: array<f32>; // (rows)
@group(0) @binding(8) var<storage, read_write> dlogits: array<f32>; // (rows, stride)
@group(0) @binding(9) var<storage, read_write> strip: array<u32>; // (rows, stride): logits in, gradient or weights out
@group(0) @binding(10) var<storage, read_write> pull: array<f32>; // (rows, width): Σ e^(z − m) W so far
@group(0) @binding(11) var<storage, read> saved_pull: array<f32>; // (rows, width)
@group(0) @binding(12) var<storage, read> weights: array<Packed>; // (cols, width): W's rows of the strip
@group(0) @binding(13) var<storage, read_write> dhidden: array<f32>; // (rows, width)
@group(0) @binding(14) var<storage, read> hidden: array<f32>; // (rows, width)
@group(0) @binding(15) var<storage, read> dstrip: array<f32>; // (rows, stride)
@group(0) @binding(16) var<storage, read_write> dhead: array<f32>; // (cols, width)

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.stride;
  var state = TargetState(online_row(start, params.cols, lane), MASKED, 0.0);
  if (lane > 0u) {
    return;
  }
  state.row.arg += params.start;
  let column = targets[row] - params.start; // wraps to a large number below the start
  if (column < params.cols) {
    state.target_logit = logits[start + column];
  }
  if (params.accumulate == 1u) {
    let before = states[row];
    state.row = online_merge(before.row, state.row);
    state.rise = before.row.largest - state.row.largest;
    if (column >= params.cols) {
      state.target_logit = before.target_logit;
    }
  }
  states[row] = state;
}

// Replaces the strip by e^(z − m), and rescales the sum of the previous strips to the new m.
@compute @workgroup_size(WORKGROUP)
fn weigh(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.stride;
  let share = share_of(params.cols, lane);
  let state = saved_states[row];
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = strip[start + i];
    strip[start + i] = bitcast<u32>(online_weight(state.row, bits) * cap_slope(bits));
  }
  clear_padding(start, lane);
  if (params.accumulate == 0u) {
    return;
  }
  let factor = exp(max(state.rise, NEGLIGIBLE));
  for (var i = lane; i < params.width; i += WORKGROUP) {
    pull[row * params.width + i] *= factor;
  }
}

// The same result as `weigh` and the product, except for negligible tokens. The sum so far is at most that of the whole
// vocabulary, so no token whose final p is filter_eps or more is omitted.
@compute @workgroup_size(WORKGROUP)
fn pull_sparse(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let state = saved_states[row];
  let factor = exp(max(state.rise, NEGLIGIBLE));
  for (var i = lane; i < params.width; i += WORKGROUP) {
    let at = row * params.width + i;
    pull[at] = select(0.0, pull[at] * factor, params.accumulate == 1u);
  }
  let least = params.filter_eps * state.row.sum;
  let column = targets[row] - params.start;
  for (var first = 0u; first < params.cols; first += STRETCH) {
    var count = 0u;
    for (var i = first + lane; i < min(first + STRETCH, params.cols); i += WORKGROUP) {
      let bits = logits[row * params.stride + i];
      let weight = online_weight(state.row, bits);
      if (weight >= least || i == column) {
        kept[lane * SHARE + count] = Kept(i, weight * cap_slope(bits));
        count++;
      }
    }
    kept_counts[lane] = count;
    workgroupBarrier();
    for (var thread = 0u; thread < WORKGROUP; thread++) {
      for (var k = thread * SHARE; k < thread * SHARE + kept_counts[thread]; k++) {
        let token = kept[k];
        for (var i = lane; i < params.width; i += WORKGROUP) {
          pull[row * params.width + i] += token.value * weight1(token.index * params.width + i);
        }
      }
    }
    workgroupBarrier();
  }
}

// One thread per row.
@compute @workgroup_size(WORKGROUP)
fn finish(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups) * WORKGROUP + lane;
  if (row >= params.rows) {
    return;
  }
  let state = saved_states[row];
  stats[3u * row] = online_entropy(state.row);
  stats[3u * row + 2u] = online_log_collision(state.row);
  if (state.target_logit == MASKED) {
    logprobs[row] = MASKED;
    stats[3u * row + 1u] = 0.0;
    return;
  }
  logprobs[row] = bitcast<u32>(online_logprob(state.row, state.target_logit));
  stats[3u * row + 1u] = select(0.0, 1.0, state.row.arg == targets[row]);
}

@compute @workgroup_size(WORKGROUP)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.stride;
  let share = share_of(params.cols, lane);
  let state = saved_states[row];
  let inverse = online_inverse(state.row);
  let column = targets[row] - params.start;
  for (var i = share.first; i < share.end; i += TEAM) {
    var gradient = slope(state, inverse, logits[start + i], i == column) * dlogprobs[row];
    if (params.accumulate == 1u) {
      gradient += dlogits[start + i];
    }
    dlogits[start + i] = gradient;
  }
}

@compute @workgroup_size(WORKGROUP)
fn backward_strip(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let start = row * params.stride;
  let share = share_of(params.cols, lane);
  let state = saved_states[row];
  let inverse = online_inverse(state.row);
  let column = targets[row] - params.start;
  for (var i = share.first; i < share.end; i += TEAM) {
    let bits = strip[start + i];
    let gradient = slope(state, inverse, bits, i == column) * cap_slope(bits) * dlogprobs[row];
    strip[start + i] = bitcast<u32>(gradient);
  }
  clear_padding(start, lane);
}

const TOKENS_PER_GROUP = 4u; // tokens per workgroup of head_sparse; WORKGROUP is a multiple of it

// dhead += dstripᵀ · hidden where dstrip is not 0. Each thread searches consecutive rows for such entries of one token, so
// that the listed rows of a token ascend from thread to thread. Then all threads add the listed rows to the tokens'
// gradients.
@compute @workgroup_size(WORKGROUP)
fn head_sparse(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tokens = linear_group(group, groups) * TOKENS_PER_GROUP;
  if (tokens >= params.cols) {
    return;
  }
  let token = tokens + lane % TOKENS_PER_GROUP;
  let rows = select(0u, params.rows, token < params.cols);
  for (var first = 0u; first < params.rows; first += STRETCH / TOKENS_PER_GROUP) {
    var count = 0u;
    let share = first + lane / TOKENS_PER_GROUP * SHARE;
    for (var row = share; row < min(share + SHARE, rows); row++) {
      let slope = dstrip[row * params.stride + token];
      if (slope != 0.0) {
        kept[lane * SHARE + count] = Kept(row, slope);
        count++;
      }
    }
    kept_counts[lane] = count;
    workgroupBarrier();
    for (var thread = 0u; thread < WORKGROUP; thread++) {
      for (var k = thread * SHARE; k < thread * SHARE + kept_counts[thread]; k++) {
        let row = kept[k];
        for (var i = lane; i < params.width; i += WORKGROUP) {
          let at = (tokens + thread % TOKENS_PER_GROUP) * params.width + i;
          dhead[at] += row.value * hidden[row.index * params.width + i];
        }
      }
    }
    workgroupBarrier();
  }
}

// dhidden = dlogprob · (slope · W[target] − pull / Σ), where the slope is the cap's, for the rows of W from `start`:
// usually all at once.
@compute @workgroup_size(WORKGROUP)
fn backward_pull(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = linear_group(group, groups);
  if (row >= params.rows) {
    return;
  }
  let state = saved_states[row];
  let inverse = select(0.0, online_inverse(state.row), params.start == 0u);
  let column = targets[row] - params.start;
  for (var i = lane; i < params.width; i += WORKGROUP) {
    let at = row * params.width + i;
    var gradient = 0.0;
    if (state.target_logit != MASKED) {
      gradient = -saved_pull[at] * inverse;
      if (column < params.cols) {
        gradient += cap_slope(state.target_logit) * weight1(column * params.width + i);
      }
      gradient *= dlogprobs[row];
    }
    if (params.accumulate == 1u) {
      gradient += dhidden[at];
    }
    dhidden[at] = gradient;
  }
}

fn clear_padding(start: u32, lane: u32) {
  for (var i = params.cols + lane; i < params.stride; i += WORKGROUP) {
    strip[start + i] = 0u;
  }
}

// d logprob / d logit = 1[target] − p, or 0 if that is negligible.
fn slope(state: TargetState, inverse: f32, bits: u32, is_target: bool) -> f32 {
  if (state.target_logit == MASKED) {
    return 0.0;
  }
  let p = online_weight(state.row, bits) * inverse;
  if (!is_target && p < params.filter_eps) {
    return 0.0;
  }
  return select(0.0, 1.0, is_target) - p;
}
