/**
 * Softmax and related functions of the rows of a logits buffer (N, V), with the masking convention of the project: an entry
 * of −∞ has probability 0 and log-probability −∞ and adds nothing to any sum. A row that is −∞ throughout has log-sum-exp
 * −∞, probabilities 0, log-probabilities −∞, entropy 0 and gradients 0. +∞ and NaN are not valid logits.
 */
import type { Matrix, Reals } from './arrays.ts';

/** lse (rows): the largest logit plus the logarithm of the sum of exponentials relative to it. */
export function logSumExp(logits: Reals, { rows, cols }: Matrix): Float64Array {
  const lse = new Float64Array(rows);
  for (let n = 0; n < rows; n++) {
    let largest = -Infinity;
    for (let v = 0; v < cols; v++) largest = Math.max(largest, logits[n * cols + v]);
    let sum = 0;
    for (let v = 0; v < cols && largest > -Infinity; v++) sum += Math.exp(logits[n * cols + v] - largest);
    lse[n] = largest > -Infinity ? largest + Math.log(sum) : -Infinity;
  }
  return lse;
}

/** log p (rows, cols) = logit − lse. */
export function logSoftmax(logits: Reals, shape: Matrix): Float64Array {
  const lse = logSumExp(logits, shape);
  return Float64Array.from({ length: shape.rows * shape.cols }, (_, at) => {
    const row = Math.floor(at / shape.cols);
    return lse[row] > -Infinity ? logits[at] - lse[row] : -Infinity;
  });
}

/** p (rows, cols). */
export function softmax(logits: Reals, shape: Matrix): Float64Array {
  return logSoftmax(logits, shape).map(Math.exp);
}

/** dlogits = p ⊙ (dy − Σ dy ⊙ p), from the probabilities p that `softmax` returned. */
export function softmaxBackward(dy: Reals, p: Reals, { rows, cols }: Matrix): Float64Array {
  const dlogits = new Float64Array(rows * cols);
  for (let n = 0; n < rows; n++) {
    let mean = 0;
    for (let v = 0; v < cols; v++) mean += dy[n * cols + v] * p[n * cols + v];
    for (let v = 0; v < cols; v++) dlogits[n * cols + v] = p[n * cols + v] * (dy[n * cols + v] - mean);
  }
  return dlogits;
}

/** dlogits = dy − p · Σ dy; masked entries get 0 and their dy is ignored. */
export function logSoftmaxBackward(dy: Reals, logits: Reals, shape: Matrix): Float64Array {
  const { rows, cols } = shape;
  const p = softmax(logits, shape);
  const dlogits = new Float64Array(rows * cols);
  for (let n = 0; n < rows; n++) {
    let total = 0;
    for (let v = 0; v < cols; v++) if (logits[n * cols + v] > -Infinity) total += dy[n * cols + v];
    for (let v = 0; v < cols; v++) {
      const at = n * cols + v;
      if (logits[at] > -Infinity) dlogits[at] = dy[at] - p[at] * total;
    }
  }
  return dlogits;
}

/** H (rows) = −Σ p log p, in nats. */
export function entropy(logits: Reals, shape: Matrix): Float64Array {
  const logp = logSoftmax(logits, shape);
  const result = new Float64Array(shape.rows);
  logp.forEach((value, at) => {
    if (value > -Infinity) result[Math.floor(at / shape.cols)] -= Math.exp(value) * value;
  });
  return result;
}

/** dlogits (rows, cols) = dentropy · −p (log p + H). */
export function entropyBackward(dentropy: Reals, logits: Reals, shape: Matrix): Float64Array {
  const logp = logSoftmax(logits, shape);
  const h = entropy(logits, shape);
  return logp.map((value, at) => {
    const row = Math.floor(at / shape.cols);
    return value > -Infinity ? -dentropy[row] * Math.exp(value) * (value + h[row]) : 0;
  });
}
