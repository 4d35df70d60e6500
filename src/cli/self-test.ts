/**
 * Checks that this machine's kernels compute correct results: a few operations on small inputs, compared with float64.
 * A quick check of an adapter, not the test suite.
 */
import { Random } from '../data/random.ts';
import type { Gpu } from '../gpu/device.ts';
import { dpo } from '../losses/logits.ts';
import { attention } from '../ops/attention.ts';
import { product } from '../ops/product.ts';
import { softmax } from '../ops/softmax.ts';
import { headLogprobs } from '../ops/token-logprob.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { LONG_ROWS } from './long-rows.ts';
import { dot, logSoftmax, normal, rowsOf, type SelfTestCase } from './self-test-case.ts';

export interface SelfTest {
  name: string;
  passed: boolean;
  /** Largest |found − expected| / (1 + |expected|); infinite if a number is missing. */
  error: number;
  tolerance: number;
}

const BETA = 0.1;

const CASES: readonly SelfTestCase[] = [
  {
    name: 'matrix product',
    tolerance: 1e-5,
    run: (gpu, tape, random) => matrixProduct(gpu, tape, random, 13, 24, 32),
  },
  {
    name: 'matrix product, odd sizes',
    tolerance: 1e-5,
    run: (gpu, tape, random) => matrixProduct(gpu, tape, random, 5, 7, 11),
  },
  {
    name: 'softmax',
    tolerance: 1e-5,
    async run(gpu, tape, random) {
      const logits = normal(random, 3 * 431, 30);
      const found = await softmax(tape, Tensor.from(gpu, logits, [3, 431])).toArray(gpu);
      return { found, expected: rowsOf(logits, 431).flatMap((row) => logSoftmax(row).map(Math.exp)) };
    },
  },
  {
    name: 'log-probabilities from the head',
    tolerance: 1e-5,
    async run(gpu, tape, random) {
      const [hidden, head] = [normal(random, 6 * 16), normal(random, 123 * 16)];
      const targets = Uint32Array.from({ length: 6 }, () => random.below(123));
      const { logprobs } = headLogprobs(
        tape,
        Tensor.from(gpu, hidden, [6, 16]),
        Tensor.from(gpu, head, [123, 16]),
        Tensor.from(gpu, targets, [6]),
      );
      const expected = rowsOf(hidden, 16).map(
        (h, i) => logSoftmax(rowsOf(head, 16).map((w) => dot(h, w)))[targets[i]],
      );
      return { found: await logprobs.toArray(gpu), expected };
    },
  },
  { name: 'attention', tolerance: 1e-5, run: causalAttention },
  { name: 'DPO loss and gradient', tolerance: 1e-5, run: dpoGradient },
  ...LONG_ROWS,
];

/** Runs all cases; throws the device's error if a kernel does not start. */
export async function runSelfTest(gpu: Gpu): Promise<SelfTest[]> {
  const results: SelfTest[] = [];
  for (const { name, tolerance, run } of CASES) {
    const tape = Tape.forInference(gpu);
    const { found, expected } = await run(gpu, tape, new Random(1));
    tape.dispose();
    const error = expected.reduce((worst, value, i) => Math.max(worst, distance(found[i], value)), 0);
    results.push({ name, passed: error <= tolerance, error, tolerance });
  }
  return results;
}

async function matrixProduct(gpu: Gpu, tape: Tape, random: Random, m: number, n: number, k: number) {
  const [a, b] = [normal(random, m * k), normal(random, n * k)];
  const c = tape.empty([m, n], 'product');
  product(gpu, 'nt', Tensor.from(gpu, a, [m, k]), Tensor.from(gpu, b, [n, k]), c, { m, n, k });
  const expected = rowsOf(a, k).flatMap((row) => rowsOf(b, k).map((column) => dot(row, column)));
  return { found: await c.toArray(gpu), expected };
}

/** Two query heads over one of keys and values. */
async function causalAttention(gpu: Gpu, tape: Tape, random: Random) {
  const [tokens, heads, headDim] = [9, 2, 8];
  const query = normal(random, tokens * heads * headDim);
  const [key, value] = [normal(random, tokens * headDim), normal(random, tokens * headDim)];
  const spans = Uint32Array.from({ length: 4 * tokens }, (_, i) => (i % 4 === 3 ? tokens : 0));
  const y = attention(
    tape,
    Tensor.from(gpu, query, [tokens, heads * headDim]),
    Tensor.from(gpu, key, [tokens, headDim]),
    Tensor.from(gpu, value, [tokens, headDim]),
    Tensor.from(gpu, spans, [tokens, 4]),
    { heads, kvHeads: 1, headDim },
  );
  const [keys, values] = [rowsOf(key, headDim), rowsOf(value, headDim)];
  const expected = rowsOf(query, headDim).flatMap((q, row) => {
    const seen = Math.floor(row / heads) + 1;
    const weights = logSoftmax(keys.slice(0, seen).map((k) => dot(q, k) / Math.sqrt(headDim))).map(Math.exp);
    return Array.from({ length: headDim }, (_, d) =>
      weights.reduce((sum, w, j) => sum + w * values[j]?.[d], 0),
    );
  });
  return { found: await y.toArray(gpu), expected };
}

/** One pair of two tokens each: d loss / d logits = dl · (onehot − softmax), dl = ∓β σ(−z). */
async function dpoGradient(gpu: Gpu, _tape: Tape, random: Random) {
  const vocabulary = 42;
  const [policy, reference] = [normal(random, 4 * vocabulary, 3), normal(random, 4 * vocabulary, 3)];
  const targets = Uint32Array.from([3, 41, 0, 17]);
  const result = dpo(
    gpu,
    {
      policy: Tensor.from(gpu, policy, [4, vocabulary]),
      reference: Tensor.from(gpu, reference, [4, vocabulary]),
      targets,
      offsets: Uint32Array.from([0, 2, 4]),
    },
    { options: { beta: BETA } },
  );
  const found = [await result.loss(), ...(await result.gradient.toArray(gpu))];
  result.dispose();
  const rows = rowsOf(policy, vocabulary).map(logSoftmax);
  const ratio = (i: number) => {
    const target = targets[i];
    return rows[i]?.[target] - logSoftmax(rowsOf(reference, vocabulary)[i])[target];
  };
  const z = BETA * (ratio(0) + ratio(1) - ratio(2) - ratio(3));
  const push = BETA / (1 + Math.exp(z));
  const gradient = rows.flatMap((row, i) =>
    row.map((logp, v) => (i < 2 ? -push : push) * ((v === targets[i] ? 1 : 0) - Math.exp(logp))),
  );
  return { found, expected: [Math.log1p(Math.exp(-z)), ...gradient] };
}

function distance(found: number | undefined, expected: number): number {
  const error = Math.abs((found ?? Number.NaN) - expected) / (1 + Math.abs(expected));
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}
