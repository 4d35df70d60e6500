// What losses on whole completions share: the uniform, and the log-probabilities summed over a completion's tokens.
// Included by the two drivers, `lib/pairwise.wgsl` and `lib/labelled.wgsl`; never runs anything itself. A driver brings
// `fn whole_logp(sequence: u32) -> f32`: log π of a completion of which every token counts alike.
//
// A formula brings `struct Options`, whose first member is `beta: f32`; a divergence brings `fn divergence`: f′ of the
// ratio π/π_ref as a function of its logarithm. Columns that a formula reads are storage buffers that it declares, from
// binding 8 on.

#include "lib/formula.wgsl"

struct Params {
  records: u32, // pairs, or labelled completions
  scale: f32, // of the derivative: 1 / records of the optimizer step
  weight: f32, // of this loss in a list of them
  mean_tokens: f32, // what a token mean divides by: the batch's mean length, or 0 for each completion's own
  divergence_alpha: f32, // of the α-divergence
  adds: u32, // 1: loss and derivative come on top of what a loss before has written
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
  logp: f32, // log π, summed over the tokens as the loss weighs them
  whole: f32, // log π, summed over all tokens alike; another number than `logp` for LD-DPO
  reference: f32, // log π_ref
  tokens: f32,
  ratio: f32, // r = log π − log π_ref
  score: f32, // s, what the divergence makes of r; r itself for the reverse KL
  slope: f32, // ds/dr
}

// Figures of a formula's own, for metrics; it sets them before it returns.
var<private> notes: vec2f;

fn completion_of(sequence: u32) -> Completion {
  let logp = sums[sequence];
  let base = reference[sequence];
  let score = divergence(logp - base, params.divergence_alpha);
  let tokens = f32(offsets[sequence + 1u] - offsets[sequence]);
  return Completion(logp, whole_logp(sequence), base, tokens, logp - base, score.value, score.slope);
}

// Tokens that a token mean divides by.
fn mean_over(completion: Completion) -> f32 {
  return select(params.mean_tokens, completion.tokens, params.mean_tokens == 0.0);
}

// The completion's own tokens, as a divisor.
fn tokens_of(completion: Completion) -> f32 {
  return max(completion.tokens, 1.0);
}

// Token-mean cross-entropy of all tokens; its derivative to `whole` is −1 / mean_over. The catalogue's row of a loss that
// is made of it says `whole`, so that the derivative is not weighed as that of `logp` is.
fn nll(completion: Completion) -> f32 {
  return -completion.whole / mean_over(completion);
}
