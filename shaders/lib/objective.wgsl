// What objectives on completions share: the uniform, the log-probabilities, and the functions that formulas are made of.
// Included by the two drivers, `lib/pairwise.wgsl` and `lib/labelled.wgsl`; never runs anything itself.
//
// A formula brings `struct Options`, whose first member is `beta: f32`; a divergence brings `fn divergence`.

#include "lib/exponentials.wgsl"

struct Params {
  records: u32, // pairs, or labelled completions
  scale: f32, // of the derivative: 1 / records of the optimizer step
  weight: f32, // of this objective in a list of them
  mean_tokens: f32, // what a token mean divides by: the batch's mean length, or 0 for each completion's own
  divergence_alpha: f32, // of the α-divergence
  adds: u32, // 1: loss and derivative come on top of what an objective before has written
  accumulate: u32, // 1: the derivative comes on top of what is there
  @align(16) options: Options,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // (S): log π of each completion
@group(0) @binding(2) var<storage, read> reference: array<f32>; // (S): log π_ref, or 0
@group(0) @binding(3) var<storage, read> offsets: array<u32>; // (S + 1): where each completion's tokens start
@group(0) @binding(5) var<storage, read_write> dsums: array<f32>; // (S)

const WORKGROUP: u32 = 64;

struct Completion {
  logp: f32, // log π, summed over the tokens
  reference: f32, // log π_ref
  tokens: f32,
  ratio: f32, // r = log π − log π_ref
  score: f32, // s, what the divergence makes of r; r itself for the reverse KL
  slope: f32, // ds/dr
}

// A function's value and its derivative. Of a divergence: f′ of the ratio π/π_ref as a function of its logarithm.
struct Curve {
  value: f32,
  slope: f32,
}

// Figures of a formula's own, for metrics; it sets them before it returns.
var<private> notes: vec2f;

fn completion_of(sequence: u32) -> Completion {
  let logp = sums[sequence];
  let base = reference[sequence];
  let score = divergence(logp - base, params.divergence_alpha);
  let tokens = f32(offsets[sequence + 1u] - offsets[sequence]);
  return Completion(logp, base, tokens, logp - base, score.value, score.slope);
}

// Tokens that a token mean divides by.
fn mean_over(completion: Completion) -> f32 {
  return select(params.mean_tokens, completion.tokens, params.mean_tokens == 0.0);
}

// The completion's own tokens, as a divisor.
fn tokens_of(completion: Completion) -> f32 {
  return max(completion.tokens, 1.0);
}

// Token-mean cross-entropy; its derivative to log π is −1 / mean_over.
fn nll(completion: Completion) -> f32 {
  return -completion.logp / mean_over(completion);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// 1 / (1 + e^−z), without overflow at either end.
fn sigmoid(z: f32) -> f32 {
  let e = precise_exp(-abs(z));
  return select(e, 1.0, z >= 0.0) / (1.0 + e);
}

// dσ/dz, even in z.
fn sigmoid_slope(z: f32) -> f32 {
  let e = precise_exp(-abs(z));
  return e / ((1.0 + e) * (1.0 + e));
}

// log σ(z) = min(z, 0) − log(1 + e^−|z|), without overflow, and accurate where the sigmoid is next to 1.
fn log_sigmoid(z: f32) -> f32 {
  return min(z, 0.0) - log1p_unit(precise_exp(-abs(z)));
}

// −(1 − ε) log σ(z) − ε log σ(−z): the cross-entropy of a comparison that is the wrong way round with probability ε.
fn logistic(z: f32, flipped: f32) -> Curve {
  let value = -(1.0 - flipped) * log_sigmoid(z) - flipped * log_sigmoid(-z);
  return Curve(value, flipped * sigmoid(z) - (1.0 - flipped) * sigmoid(-z));
}
