// What objectives on completions share: the uniform, the log-probabilities, and the functions that formulas are made of.
// Included by the two drivers, `lib/pairwise.wgsl` and `lib/labelled.wgsl`; never runs anything itself.
//
// A formula brings `struct Options`, whose first member is `beta: f32`; a divergence brings `fn divergence`.

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

// Of a divergence: f′ of the ratio π/π_ref as a function of its logarithm, and the derivative of that.
struct Score {
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

// Token-mean cross-entropy; its derivative to log π is −1 / mean_over.
fn nll(completion: Completion) -> f32 {
  return -completion.logp / mean_over(completion);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// 1 / (1 + e^−z), without overflow at either end.
fn sigmoid(z: f32) -> f32 {
  let e = exp(-abs(z));
  return select(e, 1.0, z >= 0.0) / (1.0 + e);
}

// log σ(z) = min(z, 0) − log(1 + e^−|z|), without overflow, and accurate where the sigmoid is next to 1.
fn log_sigmoid(z: f32) -> f32 {
  return min(z, 0.0) - log1p_unit(exp(-abs(z)));
}

// log(1 + u) for u in [0, 1] as 2 artanh(u / (2 + u)), by its series: WGSL's log is imprecise near 1.
fn log1p_unit(u: f32) -> f32 {
  let s = u / (2.0 + u);
  let t = s * s;
  let tail = t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t * (1.0 / 15.0))));
  return 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + tail))));
}
