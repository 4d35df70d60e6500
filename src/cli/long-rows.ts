/**
 * The self-test's rows of 200,000 numbers. Some software adapters end a loop before so many iterations, without an error
 * (`gpu/loops.ts`). Each operation over rows runs on one row, with its gradient. Probabilities, and gradients proportional to
 * them, are multiplied by 200,000, so that a missing one exceeds the tolerance.
 */
import type { Random } from '../data/random.ts';
import type { Gpu } from '../gpu/device.ts';
import { entropy } from '../ops/entropy.ts';
import { expectation } from '../ops/expectation.ts';
import { kl } from '../ops/kl.ts';
import { logSumExp } from '../ops/logsumexp.ts';
import { PLACE_COLUMNS, packPlaces, sample } from '../ops/sample.ts';
import { logSoftmax as logSoftmaxOp, softmax } from '../ops/softmax.ts';
import { headLogprobs, tokenLogprobs } from '../ops/token-logprob.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { optimalPolicy } from '../theory/optimal-policy.ts';
import { dot, logSoftmax, normal, rowsOf, type SelfTestCase } from './self-test-case.ts';

const LONG = 200_000;
/** An entry at the end of the row. */
const LAST = LONG - 7;

/** A row of logits, a second one, and the softmax of the first in float64. */
interface Row {
  logits: Float32Array;
  other: Float32Array;
  logp: number[];
  p: number[];
}

interface LongOp {
  name: string;
  run(gpu: Gpu, tape: Tape, logits: Tensor, other: Tensor): Tensor;
  /** Multiplies the result and its upstream gradient; 1 by default. */
  factor?: number;
  value(row: Row): number[];
  /** The upstream gradient is 200,000 if the result is one number. */
  gradient(row: Row, upstream: Float64Array): number[];
}

const OPS: readonly LongOp[] = [
  {
    name: 'softmax',
    run: (_, tape, logits) => softmax(tape, logits),
    factor: LONG,
    value: ({ p }) => p.map((each) => each * LONG),
    gradient: ({ p }, dy) => {
      const mean = p.reduce((sum, each, i) => sum + each * dy[i], 0);
      return p.map((each, i) => each * (dy[i] - mean));
    },
  },
  {
    name: 'log-softmax',
    run: (_, tape, logits) => logSoftmaxOp(tape, logits),
    value: ({ logp }) => logp,
    gradient: ({ p }, dy) => {
      const total = dy.reduce((a, b) => a + b, 0);
      return p.map((each, i) => dy[i] - each * total);
    },
  },
  {
    name: 'log-sum-exp',
    run: (_, tape, logits) => logSumExp(tape, logits),
    value: ({ logits, logp }) => [logits[0] - logp[0]],
    gradient: ({ p }) => p.map((each) => each * LONG),
  },
  {
    name: 'entropy',
    run: (_, tape, logits) => entropy(tape, logits),
    value: (row) => [-sumOf(row, row.logp)],
    gradient: (row) => pulls(row, row.logp).map((each) => -each),
  },
  {
    name: 'KL divergence',
    run: (_, tape, logits, other) => kl(tape, logits, other),
    value: (row) => [sumOf(row, differences(row))],
    gradient: (row) => pulls(row, differences(row)),
  },
  {
    name: 'expectation',
    run: (_, tape, logits, other) => expectation(tape, logits, other),
    value: (row) => [sumOf(row, row.other)],
    gradient: (row) => pulls(row, row.other),
  },
  {
    name: 'log-probability',
    run: (gpu, tape, logits) =>
      tokenLogprobs(tape, logits, Tensor.from(gpu, Uint32Array.of(LAST), [1])).logprobs,
    value: ({ logp }) => [logp[LAST]],
    gradient: ({ p }) => p.map((each, i) => LONG * ((i === LAST ? 1 : 0) - each)),
  },
];

/** Cases for the self-test. */
export const LONG_ROWS: readonly SelfTestCase[] = [
  ...OPS.map((op): SelfTestCase => ({ name: named(op.name), tolerance: 1e-4, run: rowOp(op) })),
  { name: named('head'), tolerance: 1e-4, run: head },
  { name: named('optimal policy'), tolerance: 1e-4, run: policy },
  { name: named('sampling'), tolerance: 0, run: likeliest },
];

function named(operation: string): string {
  return `${operation}, 200,000 a row`;
}

let known: Row | undefined;

/** All cases start from the same seed, so they share one row. */
function rowOf(random: Random): Row {
  if (known) return known;
  const [logits, other] = [normal(random, LONG, 2), normal(random, LONG, 2)];
  const logp = logSoftmax(logits);
  known = { logits, other, logp, p: logp.map(Math.exp) };
  return known;
}

function rowOp({ run, factor = 1, value, gradient }: LongOp): SelfTestCase['run'] {
  return async (gpu, _, random) => {
    const row = rowOf(random);
    const tensor = (values: Float32Array) => Tensor.from(gpu, values, [1, LONG]);
    const [logits, other] = [tensor(row.logits), tensor(row.other)];
    logits.requiresGrad = true;
    const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const y = run(gpu, tape, logits, other);
    const slope = (i: number) => (y.length > 1 ? (factor * i) / LONG : LONG);
    const upstream = Float64Array.from({ length: y.length }, (_, i) => slope(i));
    y.grad = Tensor.from(gpu, Float32Array.from(upstream), y.shape);
    const found = Array.from(await y.toArray(gpu), (each) => each * factor);
    tape.backward(logits, keep);
    const slopes = await (logits.grad as unknown as Tensor).toArray(gpu);
    keep.dispose();
    for (const given of [logits, other]) gpu.pool.release(given);
    return { found: [...found, ...slopes], expected: [...value(row), ...gradient(row, upstream)] };
  };
}

/** Two hidden states against a vocabulary of 200,000. */
async function head(gpu: Gpu, tape: Tape, random: Random) {
  const [hidden, weights] = [normal(random, 2 * 4), normal(random, LONG * 4)];
  const targets = Uint32Array.of(LAST, 3);
  const { logprobs } = headLogprobs(
    tape,
    Tensor.from(gpu, hidden, [2, 4]),
    Tensor.from(gpu, weights, [LONG, 4]),
    Tensor.from(gpu, targets, [2]),
  );
  const columns = rowsOf(weights, 4);
  const expected = rowsOf(hidden, 4).map((h, i) => logSoftmax(columns.map((w) => dot(h, w)))[targets[i]]);
  return { found: await logprobs.toArray(gpu), expected };
}

/** log π* = log softmax(logits + rewards / β). */
async function policy(gpu: Gpu, tape: Tape, random: Random) {
  const { logits, other } = rowOf(random);
  const tensor = (values: Float32Array) => Tensor.from(gpu, values, [1, LONG]);
  const { logPolicy } = optimalPolicy(tape, { reference: tensor(logits), rewards: tensor(other), beta: 2 });
  const expected = logSoftmax(logits.map((z, i) => z + other[i] / 2));
  return { found: await logPolicy.toArray(gpu), expected };
}

/** Sampling must find the most likely token: greedy, with top-k 1 and with a tiny top-p. */
async function likeliest(gpu: Gpu, _: Tape, random: Random) {
  const logits = normal(random, LONG);
  logits[LAST] = 9;
  const given = Tensor.from(gpu, logits, [1, LONG]);
  const first = { prompt: 0, promptEnd: 1, own: 0, ownEnd: 3, start: 0, slot: 0, sequence: 0, first: 0 };
  const live = {
    places: Tensor.from(gpu, packPlaces([first]), [1, PLACE_COLUMNS]),
    tokens: Tensor.from(gpu, new Uint32Array(3), [3, 1]),
    eos: Tensor.from(gpu, Uint32Array.of(LONG), [1]),
  };
  const ways = [
    { temperature: 0, topK: 0, topP: 1 },
    { temperature: 1, topK: 1, topP: 1 },
    { temperature: 1, topK: 0, topP: 1e-6 },
  ];
  for (const [step, way] of ways.entries()) sample(gpu, given, live, { ...way, minP: 0, seed: 1 }, { step });
  const found = new Uint32Array(await gpu.read(live.tokens), 0, ways.length);
  for (const tensor of [given, live.places, live.tokens, live.eos]) gpu.pool.release(tensor);
  return { found, expected: ways.map(() => LAST) };
}

function sumOf({ p }: Row, values: ArrayLike<number>): number {
  return p.reduce((sum, each, i) => sum + each * values[i], 0);
}

/** 200,000 d Σ p v / d logits. */
function pulls(row: Row, values: ArrayLike<number>): number[] {
  const mean = sumOf(row, values);
  return row.p.map((each, i) => each * LONG * (values[i] - mean));
}

/** log π − log π_ref. */
function differences({ logp, other }: Row): number[] {
  const reference = logSoftmax(other);
  return logp.map((each, i) => each - reference[i]);
}
