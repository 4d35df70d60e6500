/** Layer normalization (Ba et al. 2016): y = w ⊙ x̂ + b with x̂ = (x − mean) · rstd, rstd = 1 / √(variance + eps). */
import { type Matrix, mean, type Reals } from './arrays.ts';

export interface LayerNormShape extends Matrix {
  eps: number;
}

/** y and x̂ (rows, cols), rstd (rows). */
export function layerNorm(x: Reals, weight: Reals, bias: Reals, { rows, cols, eps }: LayerNormShape) {
  const y = new Float64Array(rows * cols);
  const normalised = new Float64Array(rows * cols);
  const rstd = new Float64Array(rows);
  for (let n = 0; n < rows; n++) {
    const row = Array.from({ length: cols }, (_, i) => x[n * cols + i]);
    const centre = mean(row);
    rstd[n] = 1 / Math.sqrt(mean(row.map((value) => (value - centre) ** 2)) + eps);
    row.forEach((value, i) => {
      normalised[n * cols + i] = (value - centre) * rstd[n];
      y[n * cols + i] = weight[i] * normalised[n * cols + i] + bias[i];
    });
  }
  return { y, normalised, rstd };
}

/** dx (rows, cols), dweight and dbias (cols). With g = dy ⊙ w: dx = rstd · (g − mean(g) − x̂ · mean(g ⊙ x̂)). */
export function layerNormBackward(
  dy: Reals,
  weight: Reals,
  { normalised, rstd }: { normalised: Reals; rstd: Reals },
  { rows, cols }: Matrix,
) {
  const dx = new Float64Array(rows * cols);
  const dweight = new Float64Array(cols);
  const dbias = new Float64Array(cols);
  for (let n = 0; n < rows; n++) {
    const at = (i: number) => n * cols + i;
    const g = Array.from({ length: cols }, (_, i) => dy[at(i)] * weight[i]);
    const [centre, pull] = [mean(g), mean(g.map((value, i) => value * normalised[at(i)]))];
    g.forEach((value, i) => {
      dx[at(i)] = rstd[n] * (value - centre - normalised[at(i)] * pull);
      dweight[i] += dy[at(i)] * normalised[at(i)];
      dbias[i] += dy[at(i)];
    });
  }
  return { dx, dweight, dbias };
}
