/**
 * Random prompts with finite answer sets, for the tests of Theorem 1: references with masks, rewards of every size, β over
 * six powers of ten. In float32 already, so that kernel and reference get the same numbers.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Matrix } from '../reference/arrays.ts';
import { random } from '../reference/compare.ts';

export interface Cases {
  shape: Matrix;
  /** (rows, cols) logits, −∞ where masked. */
  policy: Float32Array;
  reference: Float32Array;
  rewards: Float32Array;
  /** (rows) */
  beta: Float32Array;
}

/** A thousand in total. */
export const SHAPES: readonly Matrix[] = [
  { rows: 40, cols: 1 },
  { rows: 300, cols: 3 },
  { rows: 300, cols: 42 },
  { rows: 260, cols: 431 },
  { rows: 100, cols: 4096 },
];

/**
 * In every third row the reference has masked answers, in every second of those the policy has more of them. |r/β| is up to
 * 10, and up to 10⁴ in every fourth row.
 */
export function randomCases(seed: number, shape: Matrix): Cases {
  const { rows, cols } = shape;
  const { normal, uniform } = random(seed);
  const beta = Float32Array.from({ length: rows }, () => 10 ** (6 * uniform() - 3));
  const policy = new Float32Array(rows * cols);
  const reference = new Float32Array(rows * cols);
  const rewards = new Float32Array(rows * cols);
  for (let at = 0; at < rows * cols; at++) {
    const [row, col] = [Math.floor(at / cols), at % cols];
    const [hole, more] = [uniform() < 0.3 && col > 0, uniform() < 0.3 && col > 0];
    const isOutside = row % 3 === 0 && hole;
    reference[at] = isOutside ? -Infinity : 2 * normal();
    policy[at] = isOutside || (row % 6 === 0 && more) ? -Infinity : 2 * normal();
    rewards[at] = beta[row] * (row % 4 === 0 ? 1e4 : 10) * (2 * uniform() - 1);
  }
  return { shape, policy, reference, rewards, beta };
}

/** The cases on the device. */
export function onDevice(gpu: Gpu, { shape, policy, reference, rewards, beta }: Cases) {
  const size = [shape.rows, shape.cols];
  return {
    policy: Tensor.from(gpu, policy, size, 'policy'),
    reference: Tensor.from(gpu, reference, size, 'reference'),
    rewards: Tensor.from(gpu, rewards, size, 'rewards'),
    beta: Tensor.from(gpu, beta, [shape.rows], 'beta'),
  };
}

/** One prompt. */
export function oneCase(
  reference: readonly number[],
  rewards: readonly number[],
  policy: readonly number[] = reference,
): Omit<Cases, 'beta'> {
  return {
    shape: { rows: 1, cols: reference.length },
    reference: Float32Array.from(reference),
    rewards: Float32Array.from(rewards),
    policy: Float32Array.from(policy),
  };
}
