/**
 * Sampling against transformers' probabilities and the float64 reference: with the random numbers known, every draw must
 * be the reference's own; and the random numbers themselves must be even.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { INVALID_TOKEN, type SamplingSettings, sample } from '../../src/ops/sample.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Reals } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import { sampling } from '../reference/fixtures.ts';
import { sampleToken, samplingProbabilities, uniformNumber } from '../reference/sampling.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

/** Threads a row: one, a few, a GPU's many; and how many rows to try, because barriers are slow on the CPU. */
const LANES: readonly (readonly [number, number])[] = [
  [1, 301],
  [4, 42],
  [64, 6],
];
const NO_END = [INVALID_TOKEN];

interface Draw extends Partial<SamplingSettings> {
  step?: number;
  firstSequence?: number;
  lanes?: number;
  eos?: readonly number[];
  /** Tokens of the steps before, one list a step. */
  before?: readonly (readonly number[])[];
  /** Sequence of each row; row r's is r by default. */
  sequences?: readonly number[];
}

/** The tokens of all sequences after one call. Every row has its own logits. */
async function draw(real: Gpu, rows: readonly Reals[], options: Draw = {}): Promise<Uint32Array> {
  const {
    temperature = 1,
    topK = 0,
    topP = 1,
    seed = 0,
    firstSequence = 0,
    lanes = 1,
    eos = NO_END,
  } = options;
  const { before = [], sequences = rows.map((_, i) => i) } = options;
  const { gpu, check } = guards(real, lanes);
  const V = rows[0].length;
  const S = Math.max(...sequences) + 1;
  const step = options.step ?? before.length;
  const tokens = new Uint32Array((step + 1) * S);
  before.forEach((of, i) => {
    tokens.set(of, i * S);
  });
  // What is behind a row is not to be looked at.
  const stride = V + 3;
  const logits = new Float32Array(rows.length * stride).fill(Number.NaN);
  rows.forEach((row, i) => {
    logits.set(Array.from(row), i * stride);
  });
  const live = {
    places: Tensor.from(gpu, Uint32Array.from(sequences.flatMap((s) => [0, 0, 0, s])), [rows.length, 4]),
    tokens: Tensor.from(gpu, tokens, [step + 1, S]),
    eos: Tensor.from(gpu, Uint32Array.from(eos), [eos.length]),
    firstSequence,
  };
  const given = Tensor.from(gpu, logits, [rows.length, stride]);
  sample(gpu, given, live, { temperature, topK, topP, seed }, { step, vocabulary: V });
  const result = new Uint32Array(await gpu.read(live.tokens));
  await check();
  return result.slice(step * S, (step + 1) * S);
}

/** Every token must be the reference's for its random number, or its neighbour where that lies on the border. */
function expectDraws(found: Uint32Array, probabilities: Reals, seed: number, label: string): void {
  found.forEach((token, sequence) => {
    const u = uniformNumber(seed, sequence, 0);
    const near = [u, u - 1e-6, u + 1e-6].map((v) =>
      sampleToken(probabilities, Math.min(Math.max(v, 0), 1 - 2 ** -30)),
    );
    expect(near, `${label}, u = ${u}`).to.include(token);
  });
}

const repeated = <T>(count: number, value: T): T[] => new Array<T>(count).fill(value);

describe('sample', () => {
  for (const [lanes, count] of LANES) {
    for (const { name, logits, settings } of sampling.cases) {
      it(`draws from transformers' probabilities: ${name}, ${lanes} threads a row`, async () => {
        const gpu = await testGpu();
        const row = Float32Array.from(logits, (logit) => logit ?? -Infinity);
        for (const { probabilities, ...setting } of settings) {
          // The fixture's own, but for logits that float32 cannot hold.
          const expected = samplingProbabilities(row, setting);
          expectClose(expected, probabilities, { absolute: 1e-3 });
          const found = await draw(gpu, repeated(count, row), { ...setting, seed: 7, lanes });
          expectDraws(found, expected, 7, JSON.stringify(setting));
        }
      });
    }

    it(`draws the reference's tokens where many are tied, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      const { normals } = random(11);
      // Steps of a half: at every edge stand several tokens.
      const row = Array.from(normals(123, 1.5), (x) => Math.round(2 * x) / 2);
      for (const topK of [0, 1, 9, 60]) {
        for (const topP of [1, 0.93, 0.61, 0.07]) {
          const setting = { temperature: 0.9, topK, topP };
          const found = await draw(gpu, repeated(count, row), { ...setting, seed: 3, lanes });
          expectDraws(found, samplingProbabilities(row, setting), 3, JSON.stringify(setting));
        }
      }
    });

    it(`takes the first of the largest logits when greedy, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      const rows = [
        [1, 5, 2, 5, -3, 0],
        [-Infinity, -1e4, -Infinity, -1e4, -Infinity, -2e4],
        [0, 0, 0, 0, 0, 0],
        [1e4, 1e4, 9999, 1e4 + 1, 0, 1e4 + 1],
      ];
      expect([...(await draw(gpu, rows, { temperature: 0, lanes }))]).to.deep.equal([1, 1, 0, 3]);
    });

    it(`marks rows without a distribution, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      const rows = [repeated(6, -Infinity), [0, 1, Number.NaN, 0, 1, 2], [0, 0, 0, 0, 0, 0]];
      for (const temperature of [0, 1]) {
        const found = await draw(gpu, rows, { temperature, topK: 3, topP: 0.9, lanes });
        expect([...found.subarray(0, 2)]).to.deep.equal([INVALID_TOKEN, INVALID_TOKEN]);
        expect(found[2]).to.be.below(6);
      }
    });

    it(`repeats the last token of a sequence that has ended, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      const rows = repeated(4, [0, 9, 0, 0, 0, 0]);
      const before = [[4, 1, 2, INVALID_TOKEN]];
      const found = await draw(gpu, rows, { temperature: 0, eos: [2, 4], before, lanes });
      expect([...found]).to.deep.equal([4, 1, 2, INVALID_TOKEN]);
    });
  }

  for (const { lanes, ...setting } of [
    { topK: 0, topP: 1, lanes: 4 },
    { topK: 50, topP: 1, lanes: 4 },
    { topK: 1000, topP: 0.9, lanes: 4 },
    { topK: 0, topP: 0.3, lanes: 64 },
  ]) {
    it(`draws from a vocabulary of 200,000, top-k ${setting.topK}, top-p ${setting.topP}`, async () => {
      const gpu = await testGpu();
      const row = Float32Array.from(random(5).normals(200_000, 2.5));
      const probabilities = samplingProbabilities(row, setting);
      const kept = probabilities.filter((p) => p > 0).length;
      const found = await draw(gpu, repeated(3, row), { ...setting, seed: 1, lanes });
      for (const [sequence, token] of found.entries()) {
        // Sums of so many terms are rounded: the token may be off by a few, but it is one of those that stay.
        expect(probabilities[token], `${kept} tokens stay`).to.be.above(0);
        const below = probabilities.subarray(0, token).reduce((a, b) => a + b, 0);
        const u = uniformNumber(1, sequence, 0);
        expect(u).to.be.within(below - 1e-4, below + probabilities[token] + 1e-4);
      }
    });
  }

  it('draws each token as often as its probability says', async () => {
    const gpu = await testGpu();
    const { logits, settings } = sampling.cases[0];
    const { probabilities } = settings[0];
    const row = logits.map((logit) => logit ?? -Infinity);
    for (const step of [0, 1, 17]) {
      const count = 10_000;
      const found = await draw(gpu, repeated(count, row), { step, seed: 1234, firstSequence: 5 });
      const counts = probabilities.map(() => 0);
      for (const token of found) counts[token]++;
      // Pearson's statistic over the tokens that are expected at least five times and the rest together; the bound is
      // passed once in a thousand times by 29 degrees of freedom, and the seed is fixed.
      let [statistic, restCount, rest] = [0, 0, 0];
      probabilities.forEach((p, v) => {
        if (count * p >= 5) statistic += (counts[v] - count * p) ** 2 / (count * p);
        else {
          restCount += counts[v];
          rest += count * p;
        }
      });
      statistic += (restCount - rest) ** 2 / rest;
      expect(statistic).to.be.below(58.3);
    }
  });

  it('gives a sequence the same token whatever row it is in', async () => {
    const gpu = await testGpu();
    const { normals } = random(2);
    const rows = Array.from({ length: 6 }, () => normals(42));
    const together = await draw(gpu, rows, { seed: 9, topP: 0.9 });
    const order = [4, 1, 5];
    const alone = await draw(
      gpu,
      order.map((s) => rows[s]),
      { seed: 9, topP: 0.9, sequences: order },
    );
    for (const s of order) expect(alone[s]).to.equal(together[s]);
    const later = await draw(gpu, rows.slice(2), { seed: 9, topP: 0.9, firstSequence: 2 });
    expect([...later]).to.deep.equal([...together.subarray(2)]);
    const other = await draw(gpu, rows, { seed: 10, topP: 0.9 });
    expect([...other]).to.not.deep.equal([...together]);
  });
});
