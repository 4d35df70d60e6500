// Driver of losses on completions with labels: a thread gathers the inputs for one completion, calls
// the formula, and writes the derivative and a record.
//
// If `stride` is 2, sequence 2e is example e's completion and 2e + 1 the prompt with another example's completion,
// from which the KL baseline is estimated (Ethayarajh et al. 2024, section 4.1); no gradient flows through it.
//
// A loss file includes this one and adds
//   struct Options { beta: f32, … }                                     its options, β the first
//   fn loss(example: Example, options: Options) -> ExampleResult   loss and derivative of one completion

#include "lib/dispatch.wgsl"
#include "lib/completion-loss.wgsl"

override STRIDE: u32 = 1u;

@group(0) @binding(4) var<storage, read_write> records: array<ExampleRecord>; // (examples, 9)
@group(0) @binding(6) var<storage, read> desirable: array<f32>; // (examples): 1, or 0 for an undesirable completion

struct Example {
  completion: Completion,
  desirable: bool,
  kl: f32, // max(0, mean over the batch of log π(y′|x) − log π_ref(y′|x)); 0 without baseline
  index: u32,
}

// Loss, and its derivative to log π of the completion.
struct ExampleResult {
  loss: f32,
  dcompletion: f32,
}

struct ExampleRecord {
  loss: f32,
  reward: f32, // β r
  logp: f32,
  tokens: f32,
  desirable: f32, // 1 or 0
  undesirable: f32,
  kl: f32,
  first_note: f32,
  second_note: f32,
}

@compute @workgroup_size(WORKGROUP)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let e = linear_group(group, groups) * WORKGROUP + lane;
  if (e >= params.records) {
    return;
  }
  var slope = evaluate_example(e).dcompletion * params.scale;
  let s = STRIDE * e;
  if (params.accumulate == 1u) {
    slope += dsums[s];
  } else if (STRIDE == 2u) {
    dsums[s + 1u] = 0.0;
  }
  dsums[s] = slope;
}

// Computes only the records.
@compute @workgroup_size(WORKGROUP)
fn evaluate(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let e = linear_group(group, groups) * WORKGROUP + lane;
  if (e < params.records) {
    evaluate_example(e);
  }
}

fn whole_logp(sequence: u32) -> f32 {
  return sums[sequence];
}

// Writes the record; the result is weighted.
fn evaluate_example(e: u32) -> ExampleResult {
  let completion = completion_of(STRIDE * e);
  let is_desirable = desirable[e] > 0.5;
  let kl = baseline();
  var result = loss(Example(completion, is_desirable, kl, e), params.options);
  // A NaN must reach the loss, although exp and min may turn it into a number.
  let sum = completion.ratio + kl;
  if (is_nan(sum)) {
    result = ExampleResult(sum, sum);
  }
  result = ExampleResult(params.weight * result.loss, params.weight * result.dcompletion);
  if (params.adds == 1u) {
    records[e].loss += result.loss;
    return result;
  }
  records[e] = ExampleRecord(
    result.loss,
    params.options.beta * completion.ratio,
    completion.logp,
    completion.tokens,
    select(0.0, 1.0, is_desirable),
    select(1.0, 0.0, is_desirable),
    kl,
    notes.x,
    notes.y,
  );
  return result;
}

// The same for every example: each thread adds up the batch, which is short, in the same order.
fn baseline() -> f32 {
  if (STRIDE == 1u) {
    return 0.0;
  }
  var total = 0.0;
  for (var e = 0u; e < params.records; e++) {
    total += sums[2u * e + 1u] - reference[2u * e + 1u];
  }
  let mean = total / f32(params.records);
  return select(max(mean, 0.0), mean, is_nan(mean));
}
