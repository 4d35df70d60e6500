/**
 * Sampling compared with transformers' probabilities and the float64 reference: with known random numbers, every draw and
 * its log-probability must be the reference's; and the random numbers themselves must be uniform.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { INVALID_TOKEN, type SamplingSettings, sample } from '../../src/ops/sample.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Reals } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import { generation, sampling } from '../reference/fixtures.ts';
import { penalized, sampleToken, samplingProbabilities, uniformNumber } from '../reference/sampling.ts';
import { logSoftmax } from '../reference/softmax.ts';
import { belowChiSquareBound, chiSquare } from '../support/chi-square.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';

/** Threads per row: one, a few, a GPU's many; and how many rows to test, because barriers are slow on the CPU. */
const LANES: readonly (readonly [number, number])[] = [
  [1, 301],
  [4, 42],
  [64, 6],
];
const NO_END = [INVALID_TOKEN];
/** The value of log-probabilities that no kernel has written. */
const UNTOUCHED = 7;

interface Draw extends Partial<SamplingSettings> {
  step?: number;
  firstSequence?: number;
  lanes?: number;
  eos?: readonly number[];
  /** Tokens of the previous steps, one list per step. */
  before?: readonly (readonly number[])[];
  /** Sequence of each row; by default, row r has sequence r. */
  sequences?: readonly number[];
}

/** The tokens of all sequences after one call. Every row has its own logits. */
async function draw(real: Gpu, rows: readonly Reals[], options: Draw = {}): Promise<Uint32Array> {
  return (await drawScored(real, rows, options, false)).tokens;
}

/** The same with the tokens' log-probabilities, unless `scored` is false. */
async function drawScored(
  real: Gpu,
  rows: readonly Reals[],
  options: Draw,
  scored = true,
): Promise<{ tokens: Uint32Array; logprobs: Float32Array; modelLogprobs: Float32Array }> {
  const {
    temperature = 1,
    topK = 0,
    topP = 1,
    minP = 0,
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
  // The numbers after a row must not be read.
  const stride = V + 3;
  const logits = new Float32Array(rows.length * stride).fill(Number.NaN);
  rows.forEach((row, i) => {
    logits.set(Array.from(row), i * stride);
  });
  const perToken = () => Tensor.from(gpu, new Float32Array((step + 1) * S).fill(UNTOUCHED), [step + 1, S]);
  const live = {
    places: placesOf(
      gpu,
      sequences.map((slot) => ({ slot, sequence: firstSequence + slot })),
    ),
    tokens: Tensor.from(gpu, tokens, [step + 1, S]),
    eos: Tensor.from(gpu, Uint32Array.from(eos), [eos.length]),
    logprobs: scored ? { sampling: perToken(), model: perToken() } : undefined,
  };
  const given = Tensor.from(gpu, logits, [rows.length, stride]);
  sample(gpu, given, live, { temperature, topK, topP, minP, seed }, { step, vocabulary: V }, scored);
  const numbers = async (kind: 'sampling' | 'model') =>
    live.logprobs ? (await live.logprobs[kind].toArray(gpu)).slice(step * S) : new Float32Array();
  const found = {
    tokens: new Uint32Array(await gpu.read(live.tokens)).slice(step * S),
    logprobs: await numbers('sampling'),
    modelLogprobs: await numbers('model'),
  };
  await check();
  return found;
}

/** Every log-probability must be the reference's of its token. */
function expectScores(
  { tokens, logprobs }: { tokens: Uint32Array; logprobs: Float32Array },
  probabilities: Reals,
  tolerance: number,
  label: string,
): void {
  tokens.forEach((token, i) => {
    expect(logprobs[i], `${label}, token ${token}`).to.be.closeTo(Math.log(probabilities[token]), tolerance);
  });
}

/**
 * Every token must be the reference's for its random number, or the neighboring one if the number is at the boundary of the
 * two.
 */
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
      it(`samples with transformers' probabilities: ${name}, ${lanes} threads a row`, async () => {
        const gpu = await testGpu();
        const row = Float32Array.from(logits, (logit) => logit ?? -Infinity);
        for (const { probabilities, ...setting } of settings) {
          // The fixture's own, except for logits that float32 cannot represent.
          const expected = samplingProbabilities(row, setting);
          expectClose(expected, probabilities, { absolute: 1e-3 });
          const found = await draw(gpu, repeated(count, row), { ...setting, seed: 7, lanes });
          expectDraws(found, expected, 7, JSON.stringify(setting));
        }
      });
    }

    for (const { name, logits, ids, settings } of generation.filtered) {
      it(`samples like transformers' chains of processors: ${name}, ${lanes} threads a row`, async () => {
        const gpu = await testGpu();
        for (const { probabilities, repetitionPenalty, ...setting } of settings) {
          const row = Float32Array.from(penalized(logits, ids, repetitionPenalty));
          const expected = samplingProbabilities(row, setting);
          expectClose(expected, probabilities, { absolute: 1e-6 });
          const label = JSON.stringify({ ...setting, repetitionPenalty });
          const found = await drawScored(gpu, repeated(count, row), { ...setting, seed: 5, lanes });
          expectDraws(found.tokens, expected, 5, label);
          // A sum of 31 terms, its logarithm, and a difference of logits: a few roundings of numbers up to 10.
          expectScores(found, expected, 3e-6, label);
          expect(await draw(gpu, repeated(count, row), { ...setting, seed: 5, lanes })).to.deep.equal(
            found.tokens,
          );
        }
      });
    }

    it(`keeps tokens just above min-p's threshold, and none just below, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      // Shares of the likeliest: 1, 1/2, 1/2, 1/4, 1/8, where logits are exact to 1/256.
      for (const highest of [0, 40_000]) {
        const shares = [0.25, 0.5, 1, 0.125, 0.5].map((share) => Math.fround(highest + Math.log(share)));
        const near = (share: number) => Math.exp(Math.fround(highest + Math.log(share)) - highest);
        for (const [minP, kept] of [
          [0.9, [2]],
          [near(0.5) * 1.0001, [2]],
          [near(0.5) * 0.9999, [1, 2, 4]],
          [near(0.25) * 1.0001, [1, 2, 4]],
          [near(0.25) * 0.9999, [0, 1, 2, 4]],
          [near(0.125) * 0.9999, [0, 1, 2, 3, 4]],
        ] as const) {
          const found = await draw(gpu, repeated(count, shares), { minP, seed: 2, lanes });
          for (const token of found) expect(kept, `${highest}, min-p ${minP}`).to.include(token);
          if (count > 40) expect(new Set(found).size, `${highest}, min-p ${minP}`).to.equal(kept.length);
        }
        // Top-p keeps one of three equal tokens; min-p then drops that one too, but neither of the two equal ones above it.
        const tied = [0.1, 0.5, 0.1, 1, 0.5, 0.1].map((share) => Math.fround(highest + Math.log(share)));
        const found = await draw(gpu, repeated(count, tied), {
          topP: 0.891,
          minP: near(0.5) * 0.9999,
          lanes,
        });
        for (const token of found) expect([1, 3, 4]).to.include(token);
        if (count > 40) expect(new Set(found).size).to.equal(3);
      }
    });

    it(`samples the reference's tokens if many are tied, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      const { normals } = random(11);
      // Steps of a half: at every limit there are several tokens.
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
      const { tokens, logprobs, modelLogprobs } = await drawScored(gpu, rows, { temperature: 0, lanes });
      expect([...tokens]).to.deep.equal([1, 1, 0, 3]);
      rows.forEach((row, i) => {
        const exact = logSoftmax(row, { rows: 1, cols: row.length });
        expect(modelLogprobs[i], `model, row ${i}`).to.be.closeTo(exact[tokens[i]], 1e-6);
      });
      // There is no other token to draw.
      expect([...logprobs]).to.deep.equal([0, 0, 0, 0]);
    });

    it(`marks rows without a valid distribution, ${lanes} threads a row`, async () => {
      const gpu = await testGpu();
      const rows = [repeated(6, -Infinity), [0, 1, Number.NaN, 0, 1, 2], [0, 0, 0, 0, 0, 0]];
      for (const temperature of [0, 1]) {
        const found = await draw(gpu, rows, { temperature, topK: 3, topP: 0.9, lanes });
        expect([...found.subarray(0, 2)]).to.deep.equal([INVALID_TOKEN, INVALID_TOKEN]);
        expect(found[2]).to.be.below(6);
      }
    });

    it(`repeats the last token of a finished sequence, ${lanes} threads a row`, async () => {
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
    { topK: 0, topP: 1, minP: 0.02, lanes: 4 },
  ]) {
    it(`draws from a vocabulary of 200,000, top-k ${setting.topK}, top-p ${setting.topP}`, async () => {
      const gpu = await testGpu();
      const row = Float32Array.from(random(5).normals(200_000, 2.5));
      const probabilities = samplingProbabilities(row, setting);
      const kept = probabilities.filter((p) => p > 0).length;
      const drawing = { ...setting, temperature: 1, seed: 1, lanes };
      const { tokens, logprobs, modelLogprobs } = await drawScored(gpu, repeated(3, row), drawing);
      const ofModel = logSoftmax(row, { rows: 1, cols: row.length });
      // Sums in blocks of 256, and logits around 10 that are rounded.
      for (const [sequence, token] of tokens.entries())
        expect(modelLogprobs[sequence]).to.be.closeTo(ofModel[token], 5e-6);
      // So many terms are added in a row of each thread: the sum is off by some 1e-5 of itself.
      expectScores({ tokens, logprobs }, probabilities, 1e-4, `${kept} tokens stay`);
      for (const [sequence, token] of tokens.entries()) {
        // Sums of so many terms are rounded: the token may be off by a few, but it is one of those that are kept.
        expect(probabilities[token], `${kept} tokens stay`).to.be.above(0);
        const below = probabilities.subarray(0, token).reduce((a, b) => a + b, 0);
        const u = uniformNumber(1, sequence, 0);
        expect(u).to.be.within(below - 1e-4, below + probabilities[token] + 1e-4);
      }
    });
  }

  it('samples each token with its probability', async () => {
    const gpu = await testGpu();
    const { logits, settings } = sampling.cases[0];
    const { probabilities } = settings[0];
    const row = logits.map((logit) => logit ?? -Infinity);
    for (const step of [0, 1, 17]) {
      const count = 10_000;
      const found = await draw(gpu, repeated(count, row), { step, seed: 1234, firstSequence: 5 });
      const counts = probabilities.map(() => 0);
      for (const token of found) counts[token]++;
      belowChiSquareBound(chiSquare(counts, probabilities));
    }
  });

  it('gives a sequence the same token in any row', async () => {
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
