/**
 * Every loss on sampled tokens compared with float64: ratios near 1 and far from it, both levels, every bound, KL in both
 * forms, masked tokens and masked completions; loss and derivative for odd shapes.
 */
import { expect } from 'chai';
import { LOSSES } from '../../src/losses/catalogue.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { lossOptions } from '../../src/losses/options.ts';
import { POLICY_LOSSES, POLICYS_OWN } from '../../src/losses/policy-losses.ts';
import { tokenLoss } from '../../src/losses/token-loss.ts';
import { DIVISORS, recordMeans, TOKEN_RECORD } from '../../src/losses/units.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { type PolicyOptions, policyLoss, type SampledCompletion } from '../reference/policy-losses.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

/** Completions whose policy has moved by up to `far` in each token; some tokens are masked. */
function drawn(lengths: readonly number[], seed: number, far: number, gated = false): SampledCompletion[] {
  const { normal, uniform } = random(seed);
  return lengths.map((length) => {
    const old = Float32Array.from({ length }, () => -1.5 + 0.5 * normal());
    // In long completions each token moves less, so that products of ratios stay within float32.
    const shift = far / Math.sqrt(length);
    const gain = Math.fround(normal());
    return {
      old,
      logp: Float64Array.from(old, (value) => Math.fround(value + shift * normal())),
      reference: old.map((value) => value + 0.4 * normal()),
      advantage: Float32Array.from({ length }, () => (gated && uniform() < 0.4 ? 0 : gain)),
    };
  });
}

const joined = (parts: readonly ArrayLike<number>[]) =>
  Float32Array.from(parts.flatMap((part) => Array.from(part)));

async function run(
  loss: Loss,
  completions: readonly SampledCompletion[],
  options: Record<string, number | string | boolean>,
  { scale = 1, atRatio1 = false } = {},
) {
  const { gpu, check } = guards(await testGpu());
  const offsets = [0];
  for (const { logp } of completions) offsets.push(offsets.at(-1)! + logp.length);
  const rows = offsets.at(-1)!;
  const column = (values: Float32Array, name: string) => Tensor.from(gpu, values, [values.length], name);
  const old = joined(completions.map((each) => each.old));
  const perSequence = loss.reads?.advantage?.per === 'sequence';
  const logprobs = column(joined(completions.map(({ logp }) => logp)), 'logprobs');
  logprobs.requiresGrad = true;
  const tape = Tape.forTraining(gpu);
  const lengths = completions.map(({ logp }) => logp.length);
  const { records } = tokenLoss(
    tape,
    [{ loss, options: lossOptions(loss, options) }],
    {
      logprobs,
      reference: column(joined(completions.map(({ reference }) => reference)), 'reference'),
      offsets: Tensor.from(gpu, Uint32Array.from(offsets), [offsets.length], 'offsets'),
      columns: {
        oldLogprobs: column(atRatio1 ? new Float32Array(rows).fill(POLICYS_OWN) : old, 'old'),
        advantage: column(
          joined(completions.map(({ advantage }) => (perSequence ? [advantage[0]] : advantage))),
          'advantage',
        ),
      },
    },
    { scale, lengths: { batch: lengths, step: lengths } },
  );
  const table = await records.toArray(gpu);
  const slopes = await (logprobs.grad as unknown as Tensor).toArray(gpu);
  await check();
  return { table, losses: table.filter((_, i) => i % TOKEN_RECORD.width === 0), slopes };
}

const CASES: readonly [string, Partial<PolicyOptions>, Record<string, number | string | boolean>][] = [
  ['its defaults', {}, {}],
  ['other bounds', { epsilon: 0.1, epsilonHigh: 0.3 }, { epsilon: 0.1, epsilonHigh: 0.3 }],
  ['the bound delta', { delta: 1.4 }, { delta: 1.4 }],
  ['KL times the ratio', { beta: 0.3 }, { beta: 0.3 }],
  ['plain KL', { beta: 0.3, corrected: false }, { beta: 0.3, useBiasCorrectionKl: false }],
  ['sequence-level ratios', { sequence: true }, { importanceSamplingLevel: 'sequence' }],
  [
    'sequence-level ratios with KL',
    { sequence: true, beta: 0.3, epsilonHigh: 0.3 },
    { importanceSamplingLevel: 'sequence', beta: 0.3, epsilonHigh: 0.3 },
  ],
  ['masked completions', { threshold: 0.02 }, { offPolicyMaskThreshold: 0.02 }],
  [
    'masked completions by their ratios',
    { threshold: 0.02, sequence: true, beta: 0.1 },
    { offPolicyMaskThreshold: 0.02, importanceSamplingLevel: 'sequence', beta: 0.1 },
  ],
];

const LENGTHS = [1, 5, 130, 3, 64, 65, 2, 1, 33, 7];

describe('losses on sampled tokens', () => {
  for (const loss of POLICY_LOSSES) {
    for (const [what, of, options] of CASES) {
      const given = Object.fromEntries(
        Object.entries(options).filter(([name]) => Object.hasOwn(loss.options, name)),
      );
      // The loss has no options beyond its defaults; RLOO's β is in the rewards.
      if (
        Object.keys(given).length < Object.keys(options).length ||
        (loss.name === 'rloo' && 'beta' in given)
      )
        continue;
      it(`${loss.name} with ${what}: loss and derivative`, async () => {
        for (const [seed, far] of [0.3, 1, 2.5].entries()) {
          const gated = loss.name !== 'rloo' && seed === 1;
          const completions = drawn(LENGTHS, seed + 1, far, gated);
          // CISPO's bound is absolute: with its default of 0.2 every weight is clipped.
          const actual = await run(loss, completions, given);
          const mean = LENGTHS.reduce((a, b) => a + b, 0) / LENGTHS.length;
          const divisor = DIVISORS[loss.over ?? 'batch']({
            batch: LENGTHS,
            step: LENGTHS,
            options: lossOptions(loss, given),
          });
          expect([0, 1, 256, mean]).to.include(divisor);
          const exact = completions.map((each) => {
            const { loss: value, slopes } = policyLoss(loss.name, each, of);
            const by = divisor || each.logp.length;
            return { loss: value / by, slopes: slopes.map((slope) => slope / by) };
          });
          // Ratios e^x of log-ratios near 3, and sums of 130 of them, in float32; differences over 2e-6 in float64.
          const wide = { absolute: 2e-5, relative: 1e-4 };
          expectClose(
            actual.losses,
            exact.map(({ loss: value }) => value),
            { ...wide, label: 'loss' },
          );
          expectClose(
            actual.slopes,
            exact.flatMap(({ slopes }) => [...slopes]),
            { ...wide, label: 'slope' },
          );
        }
      });
    }

    it(`${loss.name} at ratio 1 is −A, whether the column marks it or repeats the policy's values`, async () => {
      const completions = drawn(LENGTHS, 9, 0);
      const options: Record<string, number> = loss.name === 'cispo' ? { epsilonHigh: 5 } : {};
      const [own, repeated] = [
        await run(loss, completions, options, { atRatio1: true }),
        await run(loss, completions, options),
      ];
      expectClose(own.slopes, repeated.slopes, { absolute: 1e-6 });
      const by = DIVISORS[loss.over ?? 'batch']({
        batch: LENGTHS,
        step: LENGTHS,
        options: lossOptions(loss, {}),
      });
      const gains = completions.flatMap(({ advantage, logp }) =>
        Array.from(advantage, (value) => -value / (by || logp.length)),
      );
      expectClose(own.slopes, gains, { absolute: 1e-6, relative: 1e-5 });
    });
  }

  it('∇(ρ k3) at ratio 1 is ∇(k1²/2), token by token', async () => {
    const completions = drawn(LENGTHS, 4, 0).map((each) => ({ ...each, advantage: each.logp.map(() => 0) }));
    const { slopes } = await run(LOSSES.luspo, completions, { beta: 1 });
    const k1 = completions.flatMap(({ logp, reference }) =>
      Array.from(logp, (value, t) => value - reference[t]),
    );
    // Rounding errors of exp and expm1 in float32.
    expectClose(slopes, k1, { absolute: 1e-6, relative: 1e-5 });
  });

  it('logs the clipped fraction of tokens, or of completions if ratios are per completion', async () => {
    const completions = drawn([1, 9], 12, 0).map((each, c) => ({
      ...each,
      logp: each.logp.map((value) => value + (c === 0 ? 0.5 : 0)),
      advantage: each.logp.map(() => 1),
    }));
    const loss = LOSSES.grpo;
    const metrics = async (options: Record<string, string>) =>
      recordMeans(loss.metrics, (await run(loss, completions, options)).table, TOKEN_RECORD.width);
    const ofTokens = await metrics({});
    const ofCompletions = await metrics({ importanceSamplingLevel: 'sequence' });
    expect(ofTokens['clip_ratio/high_mean']?.value).to.be.closeTo(0.1, 1e-6);
    expect(ofCompletions['clip_ratio/high_mean']?.value).to.be.closeTo(0.5, 1e-6);
    expect(ofTokens['clip_ratio/high_max']?.value).to.equal(1);
    expect(ofTokens['clip_ratio/low_min']?.value).to.equal(0);
    expect(ofTokens['clip_ratio/region_mean']?.value).to.be.closeTo(0.1, 1e-6);
  });

  it('accepts names for numbers, null for nothing, and epsilon for epsilonHigh, and rejects other names', () => {
    const grpo = LOSSES.grpo;
    const options = lossOptions(grpo, {
      importanceSamplingLevel: 'sequence',
      useBiasCorrectionKl: false,
      delta: null,
      epsilon: 0.1,
    });
    expect(options).to.include({ importanceSamplingLevel: 1, useBiasCorrectionKl: 0, epsilonHigh: 0.1 });
    expect(options.delta).to.be.above(1e37);
    expect(() => lossOptions(grpo, { importanceSamplingLevel: 'word' })).to.throw(
      'must be token or sequence',
    );
  });
});
