/**
 * Losses on tokens compared with float64: ratios of tokens and of whole completions, every divisor, lists of losses. Two
 * policy gradients written outside the catalogue are used, which tests such formulas too.
 */
import { expect } from 'chai';
import type { Term } from '../../src/losses/completion-loss.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { sigmoid } from '../../src/losses/pair-losses.ts';
import { lossShader } from '../../src/losses/shader.ts';
import { tokenLoss } from '../../src/losses/token-loss.ts';
import { DIVISORS, type Divisor, TOKEN_RECORD } from '../../src/losses/units.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { finiteDifferences } from '../reference/finite-difference.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

const READS = { advantage: { per: 'sequence' }, oldLogprobs: { per: 'row' } } as const;
const DECLARED = `#include "lib/tokenwise.wgsl"
struct Options { beta: f32, epsilon: f32 }
@group(0) @binding(8) var<storage, read> advantage: array<f32>;
@group(0) @binding(9) var<storage, read> old_logprobs: array<f32>;
`;

/** The clipped ratio of each token (Schulman et al. 2017), with k3 to the reference. */
const clipped: Loss = {
  name: 'clipped',
  unit: 'token',
  shader: lossShader(
    'clipped.wgsl',
    `${DECLARED}
    fn summand(token: Token, options: Options) -> vec4f { return vec4f(); }
    fn loss(token: Token, options: Options) -> TokenResult {
      let ratio = precise_exp(token.logp - old_logprobs[token.row]);
      let gain = ratio * advantage[token.sequence];
      let bound = clamp(ratio, 1.0 - options.epsilon, 1.0 + options.epsilon) * advantage[token.sequence];
      let k1 = token.logp - token.reference;
      let slope = options.beta * -expm1(-k1);
      notes = vec4f(expm1(-k1) + k1, select(0.0, 1.0, gain > bound), 0.0, 0.0);
      return TokenResult(-min(gain, bound) + options.beta * notes.x, select(slope - gain, slope, gain > bound));
    }`,
  ),
  options: { beta: { default: 0.04 }, epsilon: { default: 0.2 } },
  reads: READS,
  over: 'step',
  metrics: { loss: TOKEN_RECORD.loss, kl: [TOKEN_RECORD.firstNote, TOKEN_RECORD.tokens] },
};

/** The clipped ratio of a whole completion (RLOO, Ahmadian et al. 2024). */
const whole: Loss = {
  ...clipped,
  name: 'whole',
  shader: lossShader(
    'whole.wgsl',
    `${DECLARED}
    fn summand(token: Token, options: Options) -> vec4f {
      return vec4f(token.logp - old_logprobs[token.row], 0.0, 0.0, 0.0);
    }
    fn loss(token: Token, options: Options) -> TokenResult {
      let ratio = precise_exp(token.sums.x);
      let gain = ratio * advantage[token.sequence];
      let bound = clamp(ratio, 1.0 - options.epsilon, 1.0 + options.epsilon) * advantage[token.sequence];
      notes = vec4f(ratio, 0.0, 0.0, 0.0);
      return TokenResult(-min(gain, bound) / token.tokens, select(-gain, 0.0, gain > bound));
    }`,
  ),
  over: 'sum',
};

interface Rows {
  lengths: number[];
  logp: Float64Array;
  old: Float32Array;
  reference: Float32Array;
  advantage: Float32Array;
}

/** Completions of these lengths whose policy has moved away from the one that sampled them. */
function rowsOf(lengths: number[], seed: number): Rows {
  const { normal } = random(seed);
  const count = lengths.reduce((a, b) => a + b, 0);
  const old = Float32Array.from({ length: count }, () => -3 + normal());
  return {
    lengths,
    old,
    logp: Float64Array.from(old, (value) => Math.fround(value + 0.15 * normal())),
    reference: old.map((value) => value + 0.3 * normal()),
    advantage: Float32Array.from(lengths, () => normal()),
  };
}

/** The loss of each completion in float64, before its mean over completions. */
type Reference = (rows: Rows, logp: Float64Array, options: Record<string, number>) => number[][];

const clip = (ratio: number, advantage: number, epsilon: number) =>
  -Math.min(ratio * advantage, Math.min(Math.max(ratio, 1 - epsilon), 1 + epsilon) * advantage);

const eachCompletion = ({ lengths }: Rows, losses: (start: number, end: number, s: number) => number[]) => {
  let start = 0;
  return lengths.map((length, s) => {
    start += length;
    return losses(start - length, start, s);
  });
};

const tokenRatios: Reference = (rows, logp, { beta = 0.04, epsilon = 0.2 }) =>
  eachCompletion(rows, (start, end, s) =>
    Array.from(logp.subarray(start, end), (value, i) => {
      const k1 = value - rows.reference[start + i];
      const ratio = Math.exp(value - rows.old[start + i]);
      return clip(ratio, rows.advantage[s], epsilon) + beta * (Math.expm1(-k1) + k1);
    }),
  );

const completionRatios: Reference = (rows, logp, { epsilon = 0.2 }) =>
  eachCompletion(rows, (start, end, s) => {
    let sum = 0;
    for (let row = start; row < end; row++) sum += logp[row] - rows.old[row];
    const loss = clip(Math.exp(sum), rows.advantage[s], epsilon);
    return Array.from({ length: end - start }, () => loss / (end - start));
  });

/** Runs terms on the device between guards: record columns, losses, and d sum of losses / d each log-probability. */
async function run(terms: readonly Term[], rows: Rows, step = rows.lengths, rowThreads?: number) {
  const { gpu, check } = guards(await testGpu(), rowThreads);
  const tensor = (values: Float32Array | Uint32Array, label: string) =>
    Tensor.from(gpu, values, [values.length], label);
  const starts = new Uint32Array(rows.lengths.length + 1);
  for (const [s, length] of rows.lengths.entries()) starts[s + 1] = starts[s] + length;
  const logprobs = tensor(Float32Array.from(rows.logp), 'log-probabilities');
  logprobs.requiresGrad = true;
  const tape = Tape.forTraining(gpu);
  const { records } = tokenLoss(
    tape,
    terms,
    {
      logprobs,
      reference: tensor(rows.reference, 'reference'),
      offsets: tensor(starts, 'offsets'),
      columns: { advantage: tensor(rows.advantage, 'advantage'), oldLogprobs: tensor(rows.old, 'old') },
    },
    { scale: 1, lengths: { batch: rows.lengths, step } },
  );
  const table = await records.toArray(gpu);
  const slopes = await (logprobs.grad as unknown as Tensor).toArray(gpu);
  await check();
  const column = (index: number) => table.filter((_, i) => i % TOKEN_RECORD.width === index);
  return { column, losses: column(TOKEN_RECORD.loss), slopes };
}

const LENGTHS = [[1], [3, 1, 7], [130, 5, 64, 65, 1, 257], Array.from({ length: 33 }, (_, s) => 1 + (s % 9))];

describe('tokenLoss', () => {
  for (const [loss, reference] of [
    [clipped, tokenRatios],
    [whole, completionRatios],
  ] as const) {
    for (const over of Object.keys(DIVISORS) as Divisor[]) {
      it(`${loss.name} over ${over}: loss and derivative of odd shapes`, async () => {
        for (const [seed, lengths] of LENGTHS.entries()) {
          const rows = rowsOf(lengths, seed + 1);
          const step = [...lengths, 11, 2];
          const mean = (all: readonly number[]) => all.reduce((a, b) => a + b, 0) / all.length;
          // Without a rollout batch, the step's completions count.
          const of = { batch: mean(lengths), step: mean(step), rollout: mean(step) };
          const divisors = { sequence: 0, ...of, constant: 1, sum: 1 };
          const losses = (logp: Float64Array) =>
            reference(rows, logp, {}).map(
              (tokens) => tokens.reduce((a, b) => a + b, 0) / (divisors[over] || tokens.length),
            );
          const term = { loss: { ...loss, over }, options: {} };
          for (const rowThreads of [1, 4, 64]) {
            const actual = await run([term], rows, step, rowThreads);
            // Sums of 257 float32 numbers near 1, and ratios e^x of log-ratios whose error grows with their number.
            const wide = { absolute: 2e-5, relative: 5e-5 };
            expectClose(actual.losses, losses(rows.logp), { ...wide, label: 'loss' });
            const slopes = finiteDifferences(
              (logp) => losses(logp).reduce((a, b) => a + b, 0),
              Float64Array.from(rows.logp),
              { samples: 60, step: 1e-6 },
            );
            expectClose(
              slopes.map(({ index }) => actual.slopes[index]),
              slopes.map(({ value }) => value),
              { ...wide, label: 'slope' },
            );
          }
        }
      });
    }
  }

  it("writes tokens, log-probability and the means of the formula's notes", async () => {
    const rows = rowsOf([3, 70, 1], 5);
    const { column } = await run([{ loss: clipped }], rows);
    expect([...column(TOKEN_RECORD.tokens)]).to.deep.equal([3, 70, 1]);
    const sums = eachCompletion(rows, (start, end) => [
      rows.logp.subarray(start, end).reduce((a, b) => a + b, 0),
    ]);
    expectClose(column(TOKEN_RECORD.logp), sums.flat(), { relative: 1e-5 });
    const k3 = tokenRatios({ ...rows, advantage: new Float32Array(3) }, rows.logp, { beta: 1 });
    const means = k3.map((tokens) => tokens.reduce((a, b) => a + b, 0) / tokens.length);
    expectClose(column(TOKEN_RECORD.firstNote), means, { absolute: 1e-6, relative: 1e-5 });
  });

  it('adds up a weighted list', async () => {
    const rows = rowsOf([4, 9], 6);
    const [first, second, both] = await Promise.all([
      run([{ loss: clipped }], rows),
      run([{ loss: whole }], rows),
      run([{ loss: clipped }, { loss: whole, weight: 0.25 }], rows),
    ]);
    const sum = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + 0.25 * b[i]);
    expectClose(both.losses, sum(first.losses, second.losses), { absolute: 1e-6 });
    expectClose(both.slopes, sum(first.slopes, second.slopes), { absolute: 1e-6 });
    expect(both.column(TOKEN_RECORD.firstNote)).to.deep.equal(first.column(TOKEN_RECORD.firstNote));
  });

  it('lets a NaN reach the loss and the derivative of its token', async () => {
    const rows = rowsOf([2, 3], 7);
    rows.logp[3] = Number.NaN;
    const { losses, slopes } = await run([{ loss: clipped }], rows);
    expect([...losses].map(Number.isNaN)).to.deep.equal([false, true]);
    expect([...slopes].map(Number.isNaN)).to.deep.equal([false, false, false, true, false]);
  });

  it('rejects invalid input, by name', async () => {
    const tape = Tape.forInference(await testGpu());
    const [logprobs, reference] = [tape.empty([5], 'logprobs'), tape.empty([5], 'reference')];
    const offsets = tape.empty([3], 'offsets', 'u32');
    const lost = (columns: Record<string, Tensor>, term: Term, what: string) =>
      expect(() => tokenLoss(tape, [term], { logprobs, reference, offsets, columns })).to.throw(
        RangeError,
        what,
      );
    const advantage = tape.empty([2], 'advantage');
    lost({ advantage }, { loss: clipped }, 'clipped reads the column oldLogprobs, which is missing');
    lost({ advantage, oldLogprobs: advantage }, { loss: clipped }, 'column oldLogprobs must be (5) f32');
    lost({}, { loss: sigmoid }, 'sigmoid works on a pair');
    tape.dispose();
  });
});
