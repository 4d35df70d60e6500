// Shared by losses on whole completions: the uniform, and the log-probabilities summed over a completion's tokens.
// Included by the two drivers, `lib/pairwise.wgsl` and `lib/labelled.wgsl`; has no entry point. A driver provides
// `fn whole_logp(sequence: u32) -> f32`: log π of a completion with all tokens weighted equally.
//
// A formula provides `struct Options`, whose first member is `beta: f32`; a divergence provides `fn divergence`: f′ of the
// ratio π/π_ref as a function of its logarithm. Columns that a formula reads are storage buffers that it declares, from
// binding 8 on.

#include "lib/formula.wgsl"

struct Params {
  records: u32, // pairs, or labeled completions
  scale: f32, // of the derivative: 1 / records of the optimizer step
  weight: f32, // of this loss in a list of them
  mean_tokens: f32, // divisor of a token mean: the batch's mean length, or 0 for each completion's own
  divergence_alpha: f32, // of the α-divergence
  adds: u32, // 1: add loss and derivative to those of the previous loss
  accumulate: u32, // 1: add the derivative to the existing one
  @align(16) options: Options,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>; // (S): log π of each completion
@group(0) @binding(2) var<storage, read> reference: array<f32>; // (S): log π_ref, or 0
@group(0) @binding(3) var<storage, read> offsets: array<u32>; // (S + 1): offset of each completion's tokens
@group(0) @binding(5) var<storage, read_write> dsums: array<f32>; // (S)

const WORKGROUP: u32 = 64;

struct Completion {
  logp: f32, // log π, summed over the tokens with the loss's weights
  whole: f32, // log π, summed over all tokens with equal weights; differs from `logp` only for LD-DPO
  reference: f32, // log π_ref
  tokens: f32,
  ratio: f32, // r = log π − log π_ref
  score: f32, // s, the divergence's score of r; r itself for the reverse KL
  slope: f32, // ds/dr
}

// Values for metrics that a formula sets before it returns.
var<private> notes: vec2f;

fn completion_of(sequence: u32) -> Completion {
  let logp = sums[sequence];
  let base = reference[sequence];
  let score = divergence(logp - base, params.divergence_alpha);
  let tokens = f32(offsets[sequence + 1u] - offsets[sequence]);
  return Completion(logp, whole_logp(sequence), base, tokens, logp - base, score.value, score.slope);
}

// The divisor of a token mean.
fn mean_over(completion: Completion) -> f32 {
  return select(params.mean_tokens, completion.tokens, params.mean_tokens == 0.0);
}

// The completion's own tokens, as a divisor.
fn tokens_of(completion: Completion) -> f32 {
  return max(completion.tokens, 1.0);
}

// Token-mean cross-entropy of all tokens; its derivative to `whole` is −1 / mean_over. A loss that consists of it has `whole`
// in its row of the catalogue, so that its derivative is not weighted like that of `logp`.
fn nll(completion: Completion) -> f32 {
  return -completion.whole / mean_over(completion);
}
