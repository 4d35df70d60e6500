// Largest entry, sum of exponentials and argmax of a row in one pass (Milakov and Gimelshein 2018), and the additional sums for
// entropy and collision probability. The including file binds the rows as `logits: array<u32>`: they are read as bits, because WGSL
// lets an implementation assume that no f32 is infinite, and a masked entry is −∞. A masked entry changes
// nothing; a fully masked row keeps the empty state, whose sum is 0. No arithmetic uses an infinity.
//
// Everything is relative to the largest entry m, so that logits of any size keep their full precision:
//   largest = m,  sum = Σ e^(z − m),  spread = Σ e^(z − m) (z − m),  square = Σ e^(2 (z − m)),  arg = the lowest index of m.
// Then log p = (z − m) − log(sum), the entropy is log(sum) − spread / sum, and log Σ p² is log(square) − 2 log(sum). A NaN or +∞ in a row makes its sum NaN,
// and so everything that is divided by it: an overflow upstream must be visible, even on devices whose exp turns a NaN
// into a number.

#include "lib/reduce.wgsl"
#include "lib/row-share.wgsl"

const MASKED: u32 = 0xff800000u; // the bits of −∞
const EXPONENT: u32 = 0x7f800000u; // the exponent bits: all set in −∞, +∞ and NaN, in no finite number
const QUIET_NAN: u32 = 0x7fc00000u;
const LOWEST: f32 = -3.4028234e38;
const NEGLIGIBLE: f32 = -104.0; // e to the power of less is 0 in f32
const BLOCK: u32 = 256u; // entries that a thread adds before it merges, so that rounding errors grow with the block, not with the row

struct Online {
  largest: f32,
  sum: f32,
  spread: f32,
  square: f32,
  arg: u32,
}

var<workgroup> online_scratch: array<Online, WORKGROUP>;

fn online_empty() -> Online {
  return Online(LOWEST, 0.0, 0.0, 0.0, 0u);
}

// A state relative to a larger maximum. The shift cannot overflow, and a NaN in the sum is kept.
fn online_raised(state: Online, largest: f32) -> Online {
  let shift = max(state.largest - largest, NEGLIGIBLE);
  let factor = exp(shift);
  let spread = (state.spread + state.sum * shift) * factor;
  return Online(largest, state.sum * factor, spread, state.square * factor * factor, state.arg);
}

// One more entry. A first entry equal to the lowest number still counts.
fn online_push(state: ptr<function, Online>, bits: u32, index: u32) {
  if ((bits & EXPONENT) == EXPONENT) {
    if (bits != MASKED) {
      (*state).sum = bitcast<f32>(bits | QUIET_NAN);
    }
    return;
  }
  let z = bitcast<f32>(bits);
  if (z > (*state).largest || (*state).sum == 0.0) {
    *state = online_raised(*state, z);
    (*state).arg = index;
  }
  let shift = z - (*state).largest;
  if (shift < NEGLIGIBLE) {
    return;
  }
  let weight = exp(shift);
  (*state).sum += weight;
  (*state).spread += weight * shift;
  (*state).square += weight * weight;
}

// Four more entries, `step` apart: one check for special values and one for a new maximum, instead of four branches each.
fn online_push_four(state: ptr<function, Online>, bits: vec4u, index: u32, step: u32) {
  if (any((bits & vec4u(EXPONENT)) == vec4u(EXPONENT))) {
    for (var i = 0u; i < 4u; i++) {
      online_push(state, bits[i], index + i * step);
    }
    return;
  }
  let z = bitcast<vec4f>(bits);
  let largest = max(max(z.x, z.y), max(z.z, z.w));
  if (largest > (*state).largest || (*state).sum == 0.0) {
    *state = online_raised(*state, largest);
    let place = select(select(select(3u, 2u, z.z == largest), 1u, z.y == largest), 0u, z.x == largest);
    (*state).arg = index + place * step;
  }
  let shift = max(z - (*state).largest, vec4f(NEGLIGIBLE));
  let weight = exp(shift);
  (*state).sum += (weight.x + weight.y) + (weight.z + weight.w);
  (*state).spread += dot(weight, shift);
  (*state).square += dot(weight, weight);
}

// Merges two parts of a row.
fn online_merge(a: Online, b: Online) -> Online {
  if (b.sum == 0.0) {
    return a;
  }
  if (a.sum == 0.0) {
    return b;
  }
  let largest = max(a.largest, b.largest);
  let x = online_raised(a, largest);
  let y = online_raised(b, largest);
  let first = a.largest > b.largest || (a.largest == b.largest && a.arg < b.arg);
  return Online(largest, x.sum + y.sum, x.spread + y.spread, x.square + y.square, select(b.arg, a.arg, first));
}

// Merges the parts of all threads, in a fixed order. Every thread of the group must take part.
fn online_reduce(state: Online, lane: u32) -> Online {
  if (WORKGROUP == 1) {
    return state;
  }
  workgroupBarrier();
  online_scratch[lane] = state;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width = width / 2u) {
    if (lane < width) {
      online_scratch[lane] = online_merge(online_scratch[lane], online_scratch[lane + width]);
    }
    workgroupBarrier();
  }
  return online_scratch[0];
}

// The state of the row of `cols` logits from `start` on, for all threads of its group.
fn online_row(start: u32, cols: u32, lane: u32) -> Online {
  var row = online_empty();
  let share = share_of(cols, lane);
  for (var block = share.first; block < share.end; block += BLOCK * TEAM) {
    var part = online_empty();
    let end = min(share.end, block + BLOCK * TEAM);
    var i = block;
    for (; i + 3u * TEAM < end; i += 4u * TEAM) {
      let at = start + i;
      let four = vec4u(logits[at], logits[at + TEAM], logits[at + 2u * TEAM], logits[at + 3u * TEAM]);
      online_push_four(&part, four, i, TEAM);
    }
    for (; i < end; i += TEAM) {
      online_push(&part, logits[start + i], i);
    }
    row = online_merge(row, part);
  }
  return online_reduce(row, lane);
}

// 1 / sum; 0 for a fully masked row, so that all its probabilities are 0.
fn online_inverse(state: Online) -> f32 {
  if (state.sum == 0.0) {
    return 0.0;
  }
  return 1.0 / state.sum;
}

// e^(z − m): a probability before it is divided by the sum; 0 where masked.
fn online_weight(state: Online, bits: u32) -> f32 {
  if (bits == MASKED) {
    return 0.0;
  }
  return exp(bitcast<f32>(bits) - state.largest);
}

// log(sum), which keeps a NaN. Only for rows that are not fully masked.
fn online_log_sum(state: Online) -> f32 {
  if ((bitcast<u32>(state.sum) & EXPONENT) == EXPONENT) {
    return state.sum;
  }
  return log(state.sum);
}

// log p = (z − m) − log(sum), for an entry that is not masked.
fn online_logprob(state: Online, bits: u32) -> f32 {
  return bitcast<f32>(bits) - state.largest - online_log_sum(state);
}

// −Σ p log p in nats; 0 for a fully masked row.
fn online_entropy(state: Online) -> f32 {
  if (state.sum == 0.0) {
    return 0.0;
  }
  return online_log_sum(state) - state.spread / state.sum;
}

// log Σ p² ≤ 0, the logarithm of the probability that two draws are equal; 0 for a fully masked row.
fn online_log_collision(state: Online) -> f32 {
  if (state.sum == 0.0) {
    return 0.0;
  }
  return log(state.square) - 2.0 * online_log_sum(state);
}
