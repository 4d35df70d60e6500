/** Root-mean-square normalization (Zhang and Sennrich 2019): y = w ⊙ x · rstd, rstd = 1 / √(mean(x²) + eps). */
import type { Matrix, Reals } from './arrays.ts';

export interface RmsNormShape extends Matrix {
  eps: number;
}

/** y (rows, cols) and rstd (rows). */
export function rmsNorm(x: Reals, weight: Reals, { rows, cols, eps }: RmsNormShape) {
  const y = new Float64Array(rows * cols);
  const rstd = new Float64Array(rows);
  for (let n = 0; n < rows; n++) {
    let squares = 0;
    for (let i = 0; i < cols; i++) squares += x[n * cols + i] ** 2;
    rstd[n] = 1 / Math.sqrt(squares / cols + eps);
    for (let i = 0; i < cols; i++) y[n * cols + i] = weight[i] * x[n * cols + i] * rstd[n];
  }
  return { y, rstd };
}

/**
 * dx (rows, cols) and dweight (cols). With g = dy ⊙ w and x̂ = x · rstd:
 * dx = rstd · (g − x̂ · mean(g ⊙ x̂)),  dweight = Σ over rows of dy ⊙ x̂.
 */
export function rmsNormBackward(dy: Reals, x: Reals, weight: Reals, rstd: Reals, { rows, cols }: Matrix) {
  const dx = new Float64Array(rows * cols);
  const dweight = new Float64Array(cols);
  for (let n = 0; n < rows; n++) {
    let mean = 0;
    for (let i = 0; i < cols; i++) {
      const at = n * cols + i;
      const normalised = x[at] * rstd[n];
      mean += (dy[at] * weight[i] * normalised) / cols;
      dweight[i] += dy[at] * normalised;
    }
    for (let i = 0; i < cols; i++) {
      const at = n * cols + i;
      dx[at] = rstd[n] * (dy[at] * weight[i] - x[at] * rstd[n] * mean);
    }
  }
  return { dx, dweight };
}
