/** Random inputs of the fused head, and the op run on them and read back: shared by its tests. */
import type { Gpu } from '../../src/gpu/device.ts';
import { type HeadOptions, headLogprobs, STATS_WIDTH } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random, type Tolerance } from '../reference/compare.ts';
import * as reference from '../reference/token-logprob.ts';
import { coarseLinear, isCoarse } from './coarse.ts';

export interface Shape {
  rows: number;
  width: number;
  vocabulary: number;
}

export interface Inputs {
  hidden: Tensor;
  head: Tensor;
  targets: Tensor;
}

export function draw(seed: number, { rows, width, vocabulary }: Shape) {
  const { normals, ints } = random(seed);
  return {
    hidden: Float32Array.from(normals(rows * width)),
    head: Float32Array.from(normals(vocabulary * width, 2 / Math.sqrt(width))),
    targets: ints(rows, vocabulary),
    upstream: Float32Array.from(normals(rows)),
  };
}

export function upload(gpu: Gpu, data: ReturnType<typeof draw>, { rows, width, vocabulary }: Shape): Inputs {
  return {
    hidden: Tensor.from(gpu, data.hidden, [rows, width], 'hidden'),
    head: Tensor.from(gpu, data.head, [vocabulary, width], 'head'),
    targets: Tensor.from(gpu, data.targets, [rows], 'targets'),
  };
}

/** Makes it a parameter: with a gradient slot that contains `before`. */
export function train(gpu: Gpu, tensor: Tensor, before: Float32Array): Tensor {
  tensor.grad = Tensor.from(gpu, before, tensor.shape, `d ${tensor.label}`);
  tensor.requiresGrad = true;
  tensor.isParameter = true;
  return tensor.grad;
}

/** The op and its gradient to the hidden states, read back. */
export async function run(
  gpu: Gpu,
  { hidden, head, targets }: Inputs,
  upstream: Float32Array,
  options: HeadOptions = {},
) {
  const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
  const { logprobs, stats } = headLogprobs(tape, hidden, head, targets, options);
  logprobs.grad = Tensor.from(gpu, upstream, [hidden.rows], 'upstream');
  const [logprob, statistics] = [await logprobs.toArray(gpu), await stats.toArray(gpu)];
  tape.backward(hidden, keep);
  const dhidden = await (hidden.grad as unknown as Tensor).toArray(gpu);
  return { logprob, statistics, dhidden };
}

/** The reference's results for the same inputs. */
export function truth(
  { hidden, head, targets, upstream }: ReturnType<typeof draw>,
  { rows, width, vocabulary }: Shape,
  softCap?: number,
) {
  const index = Uint32Array.from({ length: rows }, (_, i) => i);
  const size = { tokens: rows, width, vocabulary, ...(softCap !== undefined && { softCap }) };
  return {
    values: reference.headLogprob(hidden, head, index, targets, size),
    slopes: reference.headLogprobBackward(upstream, hidden, head, index, targets, size),
  };
}

// A logit is a product of up to 123 terms in float32.
const VALUE = { absolute: 1e-5, relative: 2e-6 };
// A product over a strip adds up to 100,000 terms sequentially.
export const GRADIENT = { absolute: 1e-5, l2: 5e-6 };

/**
 * The same for these inputs. Logits of coarse factors have an error of at most δ: log-probabilities of 2 δ, an entropy and
 * log Σ p² of 4 δ, and a probability, and so a gradient as a whole, a relative error of 2 δ.
 */
export function tolerances(
  { hidden, head }: ReturnType<typeof draw>,
  { rows, width, vocabulary }: Shape,
): { value: typeof VALUE; gradient: Tolerance } {
  const off = coarseLinear(hidden, head, { rows, inFeatures: width, outFeatures: vocabulary });
  return {
    value: { ...VALUE, absolute: VALUE.absolute + 4 * off },
    gradient: isCoarse ? { l2: GRADIENT.l2 + 2 * off } : GRADIENT,
  };
}

export function expectValues(
  actual: Awaited<ReturnType<typeof run>>,
  expected: reference.TokenLogprobs,
  value: Tolerance,
): void {
  const column = (which: 0 | 1 | 2) => actual.statistics.filter((_, i) => i % STATS_WIDTH === which);
  expectClose(actual.logprob, expected.logprob, { ...value, label: 'log-probabilities' });
  expectClose(column(0), expected.entropy, { ...value, label: 'entropy' });
  expectClose(column(1), expected.top1, { absolute: 0, label: 'correct' });
  expectClose(column(2), expected.logCollision, { ...value, label: 'log Σ p²' });
}
