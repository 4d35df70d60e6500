/**
 * The log-probability of one target per row: from a logits buffer (N, V), and fused with the head, from hidden states and
 * the head's weight, as in training. Both return the per-row statistics that TRL logs.
 */
import { dot, type Matrix, type Reals } from './arrays.ts';
import { gather, gatherBackward } from './gather.ts';
import { linear, linearBackwardInput, linearBackwardWeight } from './linear.ts';
import { entropy, logSumExp, softmax } from './softmax.ts';

/** One number per row. `meanLogit` is the plain mean over the vocabulary; `top1` is 1 where the target is the argmax. */
export interface TokenLogprobs {
  logprob: Float64Array;
  lse: Float64Array;
  entropy: Float64Array;
  meanLogit: Float64Array;
  /** Ties go to the lowest index, as argmax does: a target tied with an earlier token is not the first choice. */
  top1: Float64Array;
  /** log Σ p² over the vocabulary; 0 for a row that is masked throughout. */
  logCollision: Float64Array;
}

/** log p(targets[n]) for each row n; −∞ where the target is masked. */
export function tokenLogprob(logits: Reals, targets: Reals, shape: Matrix): TokenLogprobs {
  const { rows, cols } = shape;
  const lse = logSumExp(logits, shape);
  const logprob = new Float64Array(rows);
  const meanLogit = new Float64Array(rows);
  const top1 = new Float64Array(rows);
  const logCollision = new Float64Array(rows);
  const doubled = logSumExp(
    Float64Array.from(logits, (logit) => 2 * logit),
    shape,
  );
  for (let n = 0; n < rows; n++) {
    const target = logits[n * cols + targets[n]];
    logprob[n] = target > -Infinity ? target - lse[n] : -Infinity;
    top1[n] = 1;
    logCollision[n] = lse[n] > -Infinity ? doubled[n] - 2 * lse[n] : 0;
    for (let v = 0; v < cols; v++) {
      const logit = logits[n * cols + v];
      meanLogit[n] += logit / cols;
      if (logit > target || (logit === target && v < targets[n])) top1[n] = 0;
    }
  }
  return { logprob, lse, entropy: entropy(logits, shape), meanLogit, top1, logCollision };
}

/** dlogits = dlogprob · (1[v = target] − p); a row whose target is masked gets 0. */
export function tokenLogprobBackward(
  dlogprob: Reals,
  logits: Reals,
  targets: Reals,
  shape: Matrix,
): Float64Array {
  const { rows, cols } = shape;
  const p = softmax(logits, shape);
  const dlogits = new Float64Array(rows * cols);
  for (let n = 0; n < rows; n++) {
    if (!(logits[n * cols + targets[n]] > -Infinity)) continue;
    for (let v = 0; v < cols; v++) {
      dlogits[n * cols + v] = dlogprob[n] * ((v === targets[n] ? 1 : 0) - p[n * cols + v]);
    }
  }
  return dlogits;
}

/** hidden (tokens, width), weight (vocabulary, width); rows (R) picks hidden states, targets (R) what they predict. */
export interface HeadShape {
  tokens: number;
  width: number;
  vocabulary: number;
  /** Logits are cap · tanh(logit / cap). */
  softCap?: number;
}

function capped(logits: Float64Array, cap = Number.POSITIVE_INFINITY): Float64Array {
  return cap === Number.POSITIVE_INFINITY ? logits : logits.map((logit) => cap * Math.tanh(logit / cap));
}

/** Token log-probabilities directly from hidden states. */
export function headLogprob(
  hidden: Reals,
  weight: Reals,
  rows: Reals,
  targets: Reals,
  { width, vocabulary, softCap }: HeadShape,
): TokenLogprobs {
  const logits = linear(gather(hidden, rows, width), weight, headLinear(rows, width, vocabulary));
  return tokenLogprob(capped(logits, softCap), targets, { rows: rows.length, cols: vocabulary });
}

/** dhidden (tokens, width) and dweight (vocabulary, width); the gradient of a hidden state used by several rows is summed. */
export function headLogprobBackward(
  dlogprob: Reals,
  hidden: Reals,
  weight: Reals,
  rows: Reals,
  targets: Reals,
  { tokens, width, vocabulary, softCap = Number.POSITIVE_INFINITY }: HeadShape,
) {
  const shape = headLinear(rows, width, vocabulary);
  const picked = gather(hidden, rows, width);
  const logits = capped(linear(picked, weight, shape), softCap);
  const dcapped = tokenLogprobBackward(dlogprob, logits, targets, { rows: rows.length, cols: vocabulary });
  const dlogits = dcapped.map((d, i) => d * (1 - (logits[i] / softCap) ** 2));
  return {
    dhidden: gatherBackward(linearBackwardInput(dlogits, weight, shape), rows, tokens, width),
    dweight: linearBackwardWeight(dlogits, picked, shape),
  };
}

/**
 * The same, each row with its own hidden state, without negligible tokens except the target: for `dweight` those whose p is
 * below `filterEps`; for `dhidden`, which is summed in one pass over parts of the vocabulary, those that are below it when
 * their part is read.
 */
export function headLogprobBackwardFiltered(
  dlogprob: Reals,
  hidden: Reals,
  weight: Reals,
  targets: Reals,
  { tokens: rows, width, vocabulary: cols }: HeadShape,
  filterEps: number,
  parts: readonly { start: number; cols: number }[],
) {
  const shape = { rows, inFeatures: width, outFeatures: cols };
  const logits = linear(hidden, weight, shape);
  const dlogits = tokenLogprobBackward(dlogprob, logits, targets, { rows, cols });
  const whole = softmax(logits, { rows, cols });
  const soFar = new Float64Array(rows * cols);
  for (let n = 0; n < rows; n++) {
    for (const part of parts) {
      const seen = logits.slice(n * cols, n * cols + part.start + part.cols);
      soFar.set(softmax(seen, { rows: 1, cols: seen.length }).subarray(part.start), n * cols + part.start);
    }
  }
  const stays = (p: Float64Array, at: number) =>
    at % cols === targets[Math.floor(at / cols)] || p[at] >= filterEps;
  const without = (p: Float64Array) => dlogits.map((d, at) => (stays(p, at) ? d : 0));
  return {
    dhidden: linearBackwardInput(without(soFar), weight, shape),
    dweight: linearBackwardWeight(without(whole), hidden, shape),
    /** (R): the probability of the tokens that `dhidden` leaves out. */
    leftOut: Float64Array.from({ length: rows }, (_, n) =>
      whole
        .subarray(n * cols, (n + 1) * cols)
        .reduce((sum, p, v) => sum + (stays(soFar, n * cols + v) ? 0 : p), 0),
    ),
    /** What `filterEps` is compared with. */
    compared: [whole, soFar],
  };
}

/** `meanLogit` without the logits: h · (mean row of the head's weight). (R) */
export function meanLogitFromHidden(
  hidden: Reals,
  weight: Reals,
  rows: Reals,
  { width, vocabulary }: HeadShape,
) {
  const meanRow = new Float64Array(width);
  for (let v = 0; v < vocabulary; v++) {
    for (let i = 0; i < width; i++) meanRow[i] += weight[v * width + i] / vocabulary;
  }
  const picked = gather(hidden, rows, width);
  return Float64Array.from(rows, (_, r) => dot(picked.subarray(r * width, (r + 1) * width), meanRow));
}

function headLinear(rows: Reals, width: number, vocabulary: number) {
  return { rows: rows.length, inFeatures: width, outFeatures: vocabulary };
}
