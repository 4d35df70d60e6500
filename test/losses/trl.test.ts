/**
 * TRL's own losses and slopes, case by case, through the function that pages and the command line call.
 */
import { expect } from 'chai';
import { evaluateLoss } from '../../src/train/loss-cases/evaluate-loss.ts';
import type { PairNumbers } from '../../src/train/loss-cases/loss-case.ts';
import trl from '../fixtures/losses.json' with { type: 'json' };
import { expectClose } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

const pairs = trl.pairs.map(
  (row) => Object.fromEntries(trl.columns.map((name, i) => [name, row[i]])) as unknown as PairNumbers,
);

/** Values near 0 that come out of differences of terms up to 100, or, with f-divergences, of scores up to e⁶. */
const FLOOR = 1e-6;

type Case = (typeof trl.cases)[number];
const optionsOf = ({ options }: Case): Record<string, unknown> => options;

describe("TRL's losses", () => {
  for (const each of trl.cases) {
    it(`${each.family} ${JSON.stringify(each.options)}`, async () => {
      const options = optionsOf(each);
      const rows = pairs.slice(0, each.rows);
      const input = { loss: each.family, options, pairs: rows };
      const values = await evaluateLoss(await testGpu(), input);
      // TRL computes the α-divergence and ORPO in float32, with errors of its own of some 1e-7 of the largest score.
      const tolerance = { relative: 1e-5, absolute: FLOOR };
      expectClose([values.meanLoss], [each.meanLoss], { relative: 1e-5, label: 'mean loss' });
      if (each.losses) expectClose(values.loss, each.losses, { ...tolerance, label: 'loss' });
      expectClose(values.dPolicyChosen ?? [], each.dPolicyChosen, { ...tolerance, label: 'd chosen' });
      expectClose(values.dPolicyRejected ?? [], each.dPolicyRejected, { ...tolerance, label: 'd rejected' });
      expect(values.notices).to.deep.equal([]);
    });
  }

  for (const { options, kl, meanLoss, dPolicy, metrics } of trl.kto) {
    it(`kto ${JSON.stringify(options)}, KL ${kl}`, async () => {
      const examples = pairs.map((pair, e) => ({
        policy: e % 2 ? pair.policyRejected : pair.policyChosen,
        reference: (e % 2 ? pair.referenceRejected : pair.referenceChosen)!,
        desirable: e % 2 === 0,
      }));
      const input = { loss: 'kto', options, examples, ...(options.lossType === 'kto' && { kl }) };
      const values = await evaluateLoss(await testGpu(), input);
      expectClose([values.meanLoss], [meanLoss], { relative: 1e-5, label: 'mean loss' });
      // Below that, autograd's 1 − σ is wrong in float64.
      expectClose(values.dPolicy ?? [], dPolicy, { relative: 1e-5, absolute: 1e-16, label: 'd policy' });
      for (const name of ['rewards/chosen', 'rewards/rejected', 'rewards/margins', 'logps/chosen', 'kl']) {
        const close = { relative: 1e-6, label: name };
        expectClose([values.metrics[name]], [metrics[name as keyof typeof metrics]], close);
      }
    });
  }

  it('metrics without a reference', async () => {
    // TRL logs means over tokens as logps here, and its CPO logs the mean as the reward of ipo; ours are always sums.
    const names = ['nll_loss', 'log_odds_ratio', 'log_odds_chosen'];
    const ofMeans = ['rewards/chosen', 'rewards/rejected', 'rewards/margins', 'rewards/accuracies'];
    for (const each of trl.cases.filter(({ metrics }) => metrics)) {
      const options = optionsOf(each);
      const values = await evaluateLoss(await testGpu(), { loss: each.family, options, pairs });
      const expected = each.metrics as unknown as Record<string, number>;
      const logged = options.lossType === 'ipo' ? [] : ofMeans;
      for (const name of [...logged, ...(each.family === 'orpo' ? names.slice(1) : [])]) {
        const close = { relative: 1e-5, absolute: 1e-6, label: `${each.family} ${name}` };
        expectClose([values.metrics[name]], [expected[name]], close);
      }
    }
  });
});
