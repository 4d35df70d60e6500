/**
 * DPO's loss, derivative and records compared with the float64 reference and TRL's own numbers, for small and huge margins.
 */
import { expect } from 'chai';
import { LOSSES } from '../../src/losses/catalogue.ts';
import { completionLoss } from '../../src/losses/completion-loss.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { lossOptions } from '../../src/losses/options.ts';
import { sigmoid } from '../../src/losses/pair-losses.ts';
import { lossShader } from '../../src/losses/shader.ts';
import { PAIR_METRICS, PAIR_RECORD, recordMeans, valuesOf } from '../../src/losses/units.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import trl from '../fixtures/dpo-loss.json' with { type: 'json' };
import { expectClose, random } from '../reference/compare.ts';
import { dpo, type PairLogprobs } from '../reference/losses.ts';
import { testGpu } from '../support/gpu.ts';
import { runPairs } from './run-loss.ts';

/** Runs DPO, or another loss. */
function run(
  pairs: PairLogprobs,
  options: Record<string, number>,
  { loss = sigmoid, scale = 1 }: { loss?: Loss; scale?: number } = {},
) {
  return runPairs(loss, pairs, options, { scale });
}

/** Pairs whose z is about −500 … 500 for the given β, rounded to the GPU's float32. */
function pairsUpTo(largest: number, beta: number, count: number, seed: number): PairLogprobs {
  const { normal, uniform } = random(seed);
  const column = (value: (p: number) => number) => Float32Array.from({ length: count }, (_, p) => value(p));
  const referenceChosen = column(() => -60 + 20 * normal());
  const referenceRejected = column(() => -60 + 20 * normal());
  const z = column(() => (2 * uniform() - 1) * largest);
  return {
    referenceChosen,
    referenceRejected,
    policyChosen: column((p) => referenceChosen[p] + z[p] / beta / 2),
    policyRejected: column((p) => referenceRejected[p] - z[p] / beta / 2),
  };
}

function expectDpo(
  actual: Awaited<ReturnType<typeof run>>,
  pairs: PairLogprobs,
  expected: ReturnType<typeof dpo>,
  beta: number,
) {
  // Log-probabilities near 5,000 have float32 differences of 5e-4; β carries that into z, and z into loss and slope.
  const size = Math.max(
    ...[pairs.policyChosen, pairs.policyRejected].flatMap((all) => Array.from(all, Math.abs)),
  );
  const absolute = Math.max(1e-6, beta * size * 2 ** -22);
  expectClose(actual.losses, expected.losses, { absolute, relative: 2e-6, label: 'loss' });
  const slope = { absolute: 1e-7 + beta * absolute, relative: 2e-5 };
  expectClose(actual.dchosen, expected.dchosen, { ...slope, label: 'd chosen' });
  expectClose(actual.drejected, expected.drejected, { ...slope, label: 'd rejected' });
  const reward = { absolute, relative: 1e-6 };
  expectClose(actual.column(PAIR_RECORD.chosenReward), expected.chosenRewards, {
    ...reward,
    label: 'chosen',
  });
  expectClose(actual.column(PAIR_RECORD.rejectedReward), expected.rejectedRewards, {
    ...reward,
    label: 'rejected',
  });
  const margins = expected.chosenRewards.map((r, p) => r - expected.rejectedRewards[p]);
  expectClose(actual.column(PAIR_RECORD.margin), margins, { ...reward, label: 'margin' });
  expectClose(
    actual.column(PAIR_RECORD.accuracy),
    margins.map((m) => (m > 0 ? 1 : 0)),
    { absolute: 0, label: 'accuracy' },
  );
  expectClose(actual.column(PAIR_RECORD.chosenLogp), pairs.policyChosen, {
    absolute: 0,
    label: 'log p chosen',
  });
  expectClose(actual.column(PAIR_RECORD.rejectedLogp), pairs.policyRejected, {
    absolute: 0,
    label: 'log p rejected',
  });
  expectClose(
    actual.column(PAIR_RECORD.chosenTokens),
    pairs.policyChosen.length ? actual.losses.map(() => 3) : [],
    {
      absolute: 0,
      label: 'tokens',
    },
  );
}

describe('pairwiseLoss', () => {
  for (const largest of [1, 20, 100, 500]) {
    for (const [beta, labelSmoothing] of [
      [0.1, 0],
      [0.1, 0.2],
      [0.01, 0],
      [2.5, 0.5],
    ] as const) {
      it(`sigmoid, |z| up to ${largest}, β ${beta}, ε ${labelSmoothing}`, async () => {
        const pairs = pairsUpTo(largest, beta, 123, largest);
        const actual = await run(pairs, { beta, labelSmoothing });
        expectDpo(actual, pairs, dpo(pairs, { beta, labelSmoothing }), beta);
      });
    }
  }

  it('agrees with TRL pair by pair', async () => {
    const at = (name: string) => trl.columns.indexOf(name);
    for (const beta of new Set(trl.rows.map((row) => row[at('beta')]))) {
      const rows = trl.rows.filter((row) => row[at('beta')] === beta);
      const column = (name: string) => Float64Array.from(rows, (row) => row[at(name)]);
      const pairs = {
        policyChosen: column('policyChosen'),
        policyRejected: column('policyRejected'),
        referenceChosen: column('referenceChosen'),
        referenceRejected: column('referenceRejected'),
      };
      const actual = await run(pairs, { beta });
      const largest = Math.max(...Object.values(pairs).flatMap((all) => Array.from(all, Math.abs)));
      // TRL's numbers are float64; the inputs are rounded to float32 here.
      const tolerance = { absolute: 1e-6 + 4 * beta * largest * 2 ** -24, relative: 1e-5 };
      expectClose(actual.losses, column('loss'), { ...tolerance, label: `loss, β ${beta}` });
      const slope = { ...tolerance, absolute: beta * tolerance.absolute };
      expectClose(actual.dchosen, column('dLossDChosen'), { ...slope, label: `d chosen, β ${beta}` });
      expectClose(actual.drejected, column('dLossDRejected'), { ...slope, label: `d rejected, β ${beta}` });
      expectClose(actual.column(PAIR_RECORD.margin), column('margin'), {
        ...tolerance,
        label: `margin, β ${beta}`,
      });
      // If two rewards are equal, rounding the inputs makes either one larger, unless both rewards are 0.
      const [margins, rewards] = [column('margin'), column('rewardChosen')];
      const clear = (_: number, p: number) => Math.abs(margins[p]) > tolerance.absolute || rewards[p] === 0;
      const accuracies = [...column('accuracy')].filter(clear);
      expect([...actual.column(PAIR_RECORD.accuracy)].filter(clear)).to.deep.equal(accuracies);
    }
  });

  it('is ln 2 up to rounding if policy and reference are equal, with margin 0 and accuracy 0', async () => {
    const { normals } = random(3);
    const [chosen, rejected] = [normals(42, 100), normals(42, 100)];
    const same = {
      policyChosen: chosen,
      policyRejected: rejected,
      referenceChosen: chosen,
      referenceRejected: rejected,
    };
    const { losses, dchosen, column } = await run(same, { beta: 0.1 });
    expectClose(
      losses,
      losses.map(() => Math.LN2),
      { absolute: 6e-8 },
    );
    expectClose(
      dchosen,
      dchosen.map(() => -0.05),
      { absolute: 4e-9 },
    );
    expectClose(column(PAIR_RECORD.margin), new Float32Array(42), { absolute: 0 });
    expectClose(column(PAIR_RECORD.accuracy), new Float32Array(42), { absolute: 0 });
  });

  it('scales only the derivative', async () => {
    const pairs = pairsUpTo(5, 0.1, 6, 8);
    const [whole, part] = [await run(pairs, {}), await run(pairs, {}, { scale: 0.25 })];
    expectClose(part.losses, whole.losses, { absolute: 0 });
    expectClose(
      part.dchosen,
      whole.dchosen.map((d) => d / 4),
      { absolute: 0 },
    );
  });

  it('accepts a user-defined loss with its own options', async () => {
    const hinge: Loss = {
      name: 'hinge',
      unit: 'pair',
      shader: lossShader(
        'my-hinge.wgsl',
        `#include "lib/pairwise.wgsl"
        struct Options { beta: f32, wanted_margin: f32 }
        fn loss(pair: Pair, options: Options) -> PairResult {
          let z = options.beta * score_margin(pair);
          let slope = select(0.0, -options.beta, z < options.wanted_margin);
          return of_margin(pair, max(0.0, options.wanted_margin - z), slope);
        }`,
      ),
      options: { beta: { default: 0.1 }, wantedMargin: { default: 1 } },
      metrics: PAIR_METRICS,
    };
    const pairs = pairsUpTo(5, 0.2, 42, 9);
    const z = dpo(pairs, { beta: 0.2 }).chosenRewards.map(
      (reward, p) => reward - dpo(pairs, { beta: 0.2 }).rejectedRewards[p],
    );
    const { losses, dchosen } = await run(pairs, { beta: 0.2, wantedMargin: 2 }, { loss: hinge });
    expectClose(
      losses,
      z.map((value) => Math.max(0, 2 - value)),
      { absolute: 2e-5 },
    );
    expectClose(
      dchosen,
      z.map((value) => (value < 2 ? -0.2 : 0)),
      { absolute: 1e-7 },
    );
  });

  it('adds up a weighted list, and computes no derivative without a recording tape', async () => {
    const gpu = await testGpu();
    const live = gpu.memory().live;
    const values = Float32Array.of(-10, -12, -9, -8);
    const [sums, reference] = ['sums', 'reference'].map((label, i) =>
      Tensor.from(
        gpu,
        values.map((v) => v + i),
        [4],
        label,
      ),
    ) as [Tensor, Tensor];
    const offsets = Tensor.from(gpu, Uint32Array.of(0, 1, 2, 3, 4), [5]);
    const completions = { sums, reference, offsets };
    sums.requiresGrad = true;
    const silent = Tape.forInference(gpu);
    completionLoss(silent, [{ loss: sigmoid }], completions);
    expect(sums.grad).to.equal(undefined);
    silent.dispose();

    const tape = Tape.forTraining(gpu);
    const terms = [
      { loss: sigmoid, options: { beta: 0.1 } },
      { loss: sigmoid, options: { beta: 0.3 }, weight: 0.5 },
    ];
    const { records } = completionLoss(tape, terms, completions, { scale: 1 });
    const losses = (await records.toArray(gpu)).filter((_, i) => i % PAIR_RECORD.width === PAIR_RECORD.loss);
    expectClose(losses, [1.5 * Math.LN2, 1.5 * Math.LN2], { absolute: 2e-7 });
    const derivative = await (sums.grad as unknown as Tensor).toArray(gpu);
    // At margin 0 each slope is −β / 2.
    expectClose(derivative, [-0.125, 0.125, -0.125, 0.125], { absolute: 1e-7 });
    tape.backward();
    for (const tensor of [sums, reference, offsets]) gpu.pool.release(tensor);
    expect(gpu.memory().live).to.equal(live);
  });

  it('lets a NaN reach loss and derivative', async () => {
    const one = Float32Array.of(Number.NaN);
    const zero = Float32Array.of(0);
    const pairs = { policyChosen: one, policyRejected: zero, referenceChosen: zero, referenceRejected: zero };
    const { losses, dchosen, drejected } = await run(pairs, {});
    expect([losses[0], dchosen[0], drejected[0]].map(Number.isNaN)).to.deep.equal([true, true, true]);
  });

  it('refuses what does not fit', async () => {
    const tape = Tape.forInference(await testGpu());
    const [three, four] = [tape.empty([3], 'sums'), tape.empty([4], 'sums')];
    const offsets = tape.empty([5], 'offsets', 'u32');
    const refused = (sums: Tensor, reference: Tensor, starts: Tensor, what: string) =>
      expect(() => completionLoss(tape, [{ loss: sigmoid }], { sums, reference, offsets: starts })).to.throw(
        RangeError,
        what,
      );
    refused(three, three, offsets, 'whole number of pairs');
    refused(four, three, offsets, 'reference');
    refused(four, four, three, 'offsets');
    tape.dispose();
  });
});

describe('the catalogue of losses', () => {
  it('fills in defaults and refuses unknown names and values out of range', () => {
    expect(lossOptions(sigmoid)).to.deep.equal({ beta: 0.1, labelSmoothing: 0 });
    expect(lossOptions(sigmoid, { beta: 0.5, labelSmoothing: undefined }).beta).to.equal(0.5);
    expect(() => lossOptions(sigmoid, { gamma: 1 })).to.throw(
      RangeError,
      'loss sigmoid has no gamma; its options are beta, labelSmoothing',
    );
    expect(() => lossOptions(sigmoid, { labelSmoothing: 0.6 })).to.throw(RangeError, 'from 0 to 0.5');
    expect(() => lossOptions(sigmoid, { beta: Number.NaN })).to.throw(RangeError, 'beta is NaN');
  });

  it('averages records under the names of their metrics, weighted if a column says so', () => {
    const { loss, margin, width } = PAIR_RECORD;
    const records = Float32Array.from({ length: 2 * width }, (_, i) => i);
    const means = recordMeans({ loss, 'rewards/margins': [margin, loss] }, records, width);
    expect(valuesOf(means)).to.deep.equal({ loss: width / 2, 'rewards/margins': width + 3 });
    expect(recordMeans({ loss: [margin, loss] }, records.subarray(0, width), width)).to.deep.equal({});
    // The same mean, in which batches count by their records and not by the weights.
    const [weighed, counted] = [[margin, loss] as const, { mean: margin, by: loss }];
    expect(recordMeans({ weighed, counted }, records, width)).to.deep.equal({
      weighed: { value: width + 3, weight: width },
      counted: { value: width + 3, weight: 2 },
    });
    expect(recordMeans({ counted }, records.subarray(0, width), width)).to.deep.equal({});
  });

  it('finds every loss by its name', () => {
    for (const [name, loss] of Object.entries(LOSSES)) expect(loss.name).to.equal(name);
  });
});
