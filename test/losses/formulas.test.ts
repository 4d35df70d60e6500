/**
 * Every formula of the catalogue compared with its float64 reference: a thousand random rows, margins up to 500, ties, label
 * smoothing at its limits, single tokens, and the scores of every divergence.
 */
import { expect } from 'chai';
import { LOSSES } from '../../src/losses/catalogue.ts';
import { DIVERGENCES } from '../../src/losses/divergences.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { lossShader } from '../../src/losses/shader.ts';
import { PAIR_METRICS, PAIR_RECORD } from '../../src/losses/units.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as reference from '../reference/losses.ts';
import { runLabelled, runPairs } from './run-loss.ts';

type Options = Record<string, number>;

/** What each loss is tested with besides its β. */
const SETTINGS: Record<string, Options[]> = {
  sigmoid: [{ labelSmoothing: 0 }, { labelSmoothing: 0.1 }, { labelSmoothing: 0.5 }],
  hinge: [{}],
  ipo: [{ ipoTokenMean: 1 }, { ipoTokenMean: 0 }],
  robust: [{ labelSmoothing: 0 }, { labelSmoothing: 0.4999999 }, { labelSmoothing: 0.1 }],
  exo_pair: [{ labelSmoothing: 1e-6 }, { labelSmoothing: 1e-3 }, { labelSmoothing: 0.5 }],
  nca_pair: [{}],
  bco_pair: [{}],
  sppo_hard: [{}],
  aot: [{ labelSmoothing: 0 }, { labelSmoothing: 0.2 }],
  aot_unpaired: [{ labelSmoothing: 0 }, { labelSmoothing: 0.2 }],
  apo_zero: [{}],
  apo_down: [{}],
  discopop: [{ discopopTau: 0.05 }, { discopopTau: 0.7 }],
  cal_dpo: [{ calDpoShift: 0.5 }, { calDpoShift: 0 }, { calDpoShift: 0.25 }],
  sigmoid_norm: [{}],
  simpo: [
    { labelSmoothing: 0, simpoGamma: 0.5 },
    { labelSmoothing: 0.1, simpoGamma: 1.375 },
  ],
  orpo: [{}],
  sft: [{}],
  bradley_terry: [{ centerRewardsCoefficient: 0 }, { centerRewardsCoefficient: 0.01 }],
};

const pairwise = Object.values(LOSSES).filter(({ unit }) => unit === 'pair');
const labelled = Object.values(LOSSES).filter(({ unit }) => unit === 'example');
const rounded = (options: Options): Options =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [name, Math.fround(value)]));

/**
 * Pairs whose log-ratios lie within ± `largest`, all of them multiples of 1/64, so that their differences are exact in
 * float32 and what is compared is the formula. Every eighth row is a tie. Tokens are powers of two where `exact`.
 */
function draw(largest: number, count: number, seed: number, exact = false): Required<reference.PairLogprobs> {
  const { uniform, int } = random(seed);
  const grid = (from: number, to: number) => Math.round(64 * (from + (to - from) * uniform())) / 64;
  const column = (value: (p: number) => number) => Float32Array.from({ length: count }, (_, p) => value(p));
  const referenceChosen = column(() => grid(-90, -1));
  const referenceRejected = column(() => grid(-90, -1));
  // Most rows are ordinary; some reach the largest values.
  const reach = (p: number) => (p % 4 === 1 ? largest : Math.min(largest, 40));
  const ratio = column((p) => grid(-reach(p), reach(p)));
  const other = column((p) => (p % 8 === 0 ? ratio[p] : grid(-reach(p), reach(p))));
  const tokens = () => column(() => (exact ? 2 ** int(7) : 1 + int(40)));
  return {
    referenceChosen,
    referenceRejected,
    policyChosen: column((p) => referenceChosen[p] + ratio[p]),
    policyRejected: column((p) => referenceRejected[p] + other[p]),
    chosenTokens: tokens(),
    rejectedTokens: tokens(),
    margin: column((p) => (p % 3 === 0 ? 0 : grid(-1, 3))),
  };
}

/** The same as log-probabilities of the policy alone: below 0, without a reference. */
function withoutReference(pairs: Required<reference.PairLogprobs>): Required<reference.PairLogprobs> {
  const negative = (values: ArrayLike<number>) => Float32Array.from(values, (v) => -Math.abs(v) - 1 / 64);
  const zeros = new Float32Array(pairs.policyChosen.length);
  const [policyChosen, policyRejected] = [negative(pairs.policyChosen), negative(pairs.policyRejected)];
  return { ...pairs, policyChosen, policyRejected, referenceChosen: zeros, referenceRejected: zeros };
}

async function compare(
  loss: Loss,
  pairs: Required<reference.PairLogprobs>,
  options: Options,
  absolute: number,
  divergence = { type: 'reverse_kl', alpha: 0.5 },
) {
  const inputs = loss.referenceFree ? withoutReference(pairs) : pairs;
  const expected = reference.pairwise(loss.name, inputs, rounded(options), {
    ...divergence,
    alpha: Math.fround(divergence.alpha),
  });
  const actual = await runPairs(loss, inputs, options, { divergence });
  const tolerance = { relative: 1e-5, absolute };
  expectClose(actual.losses, expected.losses, { ...tolerance, label: 'loss' });
  expectClose(actual.dchosen, expected.dchosen, { ...tolerance, label: 'd chosen' });
  expectClose(actual.drejected, expected.drejected, { ...tolerance, label: 'd rejected' });
  // A reward is a product, and a quotient where it is a token mean.
  const rewards = { relative: 1e-6 };
  const chosen = actual.column(PAIR_RECORD.chosenReward);
  expectClose(chosen, expected.chosenRewards, { ...rewards, label: 'rewards/chosen' });
  const rejected = actual.column(PAIR_RECORD.rejectedReward);
  expectClose(rejected, expected.rejectedRewards, { ...rewards, label: 'rewards/rejected' });
  return { inputs, actual };
}

/** Those whose value or slope is a difference of terms of order 1 to 10 near its zero: 1e-6 is a few of their roundings. */
const CANCEL = [
  'robust',
  'exo_pair',
  'nca_pair',
  'sppo_hard',
  'cal_dpo',
  'apo_down',
  'discopop',
  'orpo',
  'ipo',
  'simpo',
];

describe('formulas on pairs', () => {
  it('are all tested', () => {
    expect(Object.keys(SETTINGS)).to.have.members(pairwise.map(({ name }) => name));
  });

  for (const loss of pairwise) {
    for (const own of SETTINGS[loss.name]) {
      const label = `${loss.name} ${JSON.stringify(own)}`;
      it(`${label}: ordinary rows`, async () => {
        // β and the number of tokens are not powers of two: the error of a margin of 10 is about 1e-6.
        const pairs = draw(40, 1000, 11);
        for (const beta of [0.1, 0.3]) await compare(loss, pairs, { ...own, beta }, 2e-6);
      });

      it(`${label}: margins up to 500`, async () => {
        // With β and tokens powers of two the margin is exact; below 1e-37 float32 has only 0.
        const cancels = CANCEL.includes(loss.name) || own.labelSmoothing || own.centerRewardsCoefficient;
        const floor = cancels ? 2e-6 : 1e-37;
        const options = { ...own, beta: 0.125 };
        await compare(loss, draw(2000, 1000, 12, true), options, floor);
      });

      it(`${label}: one pair, and equal pairs`, async () => {
        const one = draw(8, 1, 13);
        await compare(loss, one, { ...own, beta: 0.1 }, 2e-6);
        const repeat = (values: ArrayLike<number>) => new Float32Array(70).fill(values[0]);
        const alike = Object.fromEntries(
          Object.entries(one).map(([name, values]) => [name, repeat(values)]),
        ) as unknown as typeof one;
        await compare(loss, alike, { ...own, beta: 0.1 }, 2e-6);
      });
    }
  }

  it('sorts by value alone: equal values give equal losses, and shuffling has no effect', async () => {
    for (const name of ['aot', 'aot_unpaired']) {
      const pairs = draw(3, 129, 14);
      const { actual } = await compare(LOSSES[name], pairs, { beta: 0.5, labelSmoothing: 0 }, 2e-6);
      const order = Array.from(pairs.policyChosen, (_, p) => p).reverse();
      const turned = Object.fromEntries(
        Object.entries(pairs).map(([column, values]) => [column, order.map((p) => values[p])]),
      ) as unknown as typeof pairs;
      const again = await runPairs(LOSSES[name], turned, { beta: 0.5 });
      const sorted = (values: Float32Array) => [...values].sort((a, b) => a - b);
      expect(sorted(again.losses)).to.deep.equal(sorted(actual.losses));
    }
  });

  it('orpo logs the odds, finite even at probability 1', async () => {
    const { inputs, actual } = await compare(LOSSES.orpo, draw(8, 42, 15), { beta: 0.1 }, 2e-6);
    const { odds, ratios } = reference.oddsRatios(inputs);
    const close = { relative: 1e-5, absolute: 2e-6 };
    expectClose(actual.column(PAIR_RECORD.firstNote), odds, { ...close, label: 'odds' });
    expectClose(actual.column(PAIR_RECORD.secondNote), ratios, { ...close, label: 'log σ' });
    const certain = {
      policyChosen: [0, 1e-7, -3, 0],
      policyRejected: [-3, -3, 0, 0],
      referenceChosen: [0, 0, 0, 0],
      referenceRejected: [0, 0, 0, 0],
    };
    const { losses, dchosen, drejected } = await runPairs(LOSSES.orpo, certain, { beta: 0.1 });
    expect([...losses, ...dchosen, ...drejected].every(Number.isFinite)).to.equal(true);
  });
});

describe('divergences', () => {
  /** The score itself as a loss. */
  const bare: Loss = {
    name: 'score',
    unit: 'pair',
    shader: lossShader(
      'score.wgsl',
      `#include "lib/pairwise.wgsl"
      struct Options { beta: f32 }
      fn loss(pair: Pair, options: Options) -> PairResult {
        return of_scores(pair, pair.chosen.score, 1.0, 1.0);
      }`,
    ),
    options: { beta: { default: 1 } },
    metrics: PAIR_METRICS,
  };
  const alphas: Record<string, number[]> = { alpha: [0.5, 0, 1, 1.5, -1, 0.999, 2] };
  for (const type of Object.keys(DIVERGENCES)) {
    for (const alpha of alphas[type] ?? [0.5]) {
      const divergence = { type, alpha };
      const label = type === 'alpha' ? `${type} ${alpha}` : type;
      it(`${label}: score and slope for log-ratios up to 500 and down to 1/65536`, async () => {
        const large = Float32Array.from({ length: 999 }, (_, p) => p - 499.5 + 1 / 128);
        const small = large.map((r) => r / 4096 / 8);
        const ratios = Float32Array.of(...large, ...small, 0);
        const zeros = new Float32Array(ratios.length);
        const none = { policyRejected: zeros, referenceChosen: zeros, referenceRejected: zeros };
        const pairs = { policyChosen: ratios, ...none };
        const { losses, dchosen } = await runPairs(bare, pairs, {}, { divergence });
        const expected = reference.scores(ratios, { type, alpha: Math.fround(alpha) });
        expectClose(losses, expected.scores, { relative: 1e-5, absolute: 1e-37, label: 'score' });
        expectClose(dchosen, expected.slopes, { relative: 1e-5, absolute: 1e-37, label: 'slope' });
      });

      for (const loss of pairwise.filter((each) => each.divergences)) {
        it(`${label}: ${loss.name}`, async () => {
          // Scores of e⁴ and more have errors of about 1e-7 of that; IPO squares what is left of their difference.
          const own = SETTINGS[loss.name].at(-1)!;
          await compare(loss, draw(3, 1000, 16), { ...own, beta: 0.1 }, 1e-5, divergence);
        });
      }
    }
  }
});

describe('formulas at the ends of float32', () => {
  /** Rows where the exponents of divergences are clamped, and rows where they are not. */
  const RATIOS = [-500, -90, -44, -1, 0, 1, 50, 90, 500];
  const ENDS = [
    { type: 'reverse_kl', alpha: 0.5 },
    { type: 'forward_kl', alpha: 0.5 },
    { type: 'js', alpha: 0.5 },
    { type: 'alpha', alpha: -1 },
    { type: 'alpha', alpha: 1.5 },
    { type: 'alpha', alpha: 1e38 },
  ];
  for (const loss of pairwise.filter(({ divergences }) => divergences)) {
    it(`${loss.name} is finite wherever float32 can represent it, and never NaN`, async () => {
      const count = RATIOS.length ** 2;
      const pair = (value: (p: number) => number) => Float32Array.from({ length: count }, (_, p) => value(p));
      const zeros = new Float32Array(count);
      const pairs = {
        policyChosen: pair((p) => RATIOS[p % RATIOS.length]),
        policyRejected: pair((p) => RATIOS[Math.floor(p / RATIOS.length)]),
        ...{ referenceChosen: zeros, referenceRejected: zeros, margin: zeros },
        ...{ chosenTokens: zeros.map(() => 4), rejectedTokens: zeros.map(() => 2) },
      };
      const [own] = SETTINGS[loss.name];
      for (const divergence of ENDS) {
        for (const beta of [0.1, 1e5]) {
          const options = { ...own, beta };
          const alpha = Math.fround(divergence.alpha);
          const expected = reference.pairwise(loss.name, pairs, rounded(options), { ...divergence, alpha });
          const actual = await runPairs(loss, pairs, options, { divergence });
          expect(actual.losses.some(Number.isNaN), 'NaN').to.equal(false);
          for (const side of ['losses', 'dchosen', 'drejected'] as const) {
            actual[side].forEach((value, p) => {
              const where = `${side} of ${pairs.policyChosen[p]}, ${pairs.policyRejected[p]} at ${JSON.stringify({ ...divergence, beta })}`;
              const isThere = Math.abs(expected[side][p]) < 1e37;
              if (isThere) expect(Number.isFinite(value), `${where} is ${value}`).to.equal(true);
            });
          }
        }
      }
    });
  }
});

describe('formulas on labeled completions', () => {
  for (const loss of labelled) {
    for (const [label, largest, beta] of [
      ['ordinary', 40, 0.1],
      ['up to 500', 4000, 0.125],
    ] as const) {
      it(`${loss.name}: ${label}`, async () => {
        const { policyChosen, referenceChosen, chosenTokens } = draw(largest, 1024, 17, true);
        const { int } = random(18);
        const desirable = Array.from({ length: 1024 }, () => int(3) > 0);
        // Their mean is exact in float32.
        for (const sign of [1, -1]) {
          const klRatios = Float32Array.from({ length: 1024 }, (_, e) => sign * (e % 5) - 0.25);
          const kl = loss.baseline ? Math.max(0, klRatios.reduce((a, b) => a + b, 0) / 1024) : 0;
          const weights = { desirableWeight: 1.5, undesirableWeight: 0.75 };
          const options = { beta, ...('desirableWeight' in loss.options ? weights : {}) };
          const inputs = {
            policy: policyChosen,
            reference: referenceChosen,
            desirable,
            tokens: chosenTokens,
          };
          const expected = reference.labelled(loss.name, { ...inputs, kl }, rounded(options));
          const actual = await runLabelled(loss, inputs, options, klRatios);
          const close = { relative: 1e-5, absolute: 1e-37 };
          expectClose(actual.losses, expected.losses, { ...close, label: 'loss' });
          expectClose(actual.dcompletion, expected.dcompletion, { ...close, label: 'd completion' });
          expectClose(
            actual.dmismatched,
            actual.dmismatched.map(() => 0),
            { absolute: 0 },
          );
        }
      });
    }
  }
});
