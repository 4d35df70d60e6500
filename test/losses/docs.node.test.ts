/**
 * The pages on losses: their cases give the printed results, and the loss that one page builds works as it says.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { LOSSES } from '../../src/losses/catalogue.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { lossOptions } from '../../src/losses/options.ts';
import { lossShader } from '../../src/losses/shader.ts';
import { PAIR_METRICS } from '../../src/losses/units.ts';
import {
  evaluateLoss,
  type LossValues,
  type TokenLossValues,
} from '../../src/train/loss-cases/evaluate-loss.ts';
import type { LossCase } from '../../src/train/loss-cases/loss-case.ts';
import type { TokenLossCase } from '../../src/train/loss-cases/token-case.ts';
import { expectClose } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { runPairs } from './run-loss.ts';

const FOLDER = 'docs/losses';
const pages = readdirSync(FOLDER).map((name) => ({ name, text: readFileSync(`${FOLDER}/${name}`, 'utf8') }));

/** The first block of code in that language. */
const block = (text: string, language: string) => text.split(`\`\`\`${language}\n`)[1]?.split('\n```')[0];

describe('docs/losses', () => {
  it('lists every loss', () => {
    const all = pages.map(({ text }) => text).join('\n');
    for (const name of Object.keys(LOSSES).filter((each) => !['nll', 'orpo'].includes(each))) {
      expect(all).to.include(`\`${name}\``);
    }
  });

  for (const { name, text } of pages.filter((page) => page.text.includes('```json'))) {
    it(`${name}: the cases give the printed output`, async () => {
      const cases = JSON.parse(block(text, 'json')) as (LossCase | TokenLossCase)[];
      const printed = /```json[\s\S]*?```\n\n```\n([\s\S]*?)\n```/.exec(text)![1];
      const expected = [...printed.replace(/^\d+:/gm, '').matchAll(/-?\d+\.\d+/g)].map(Number);
      const gpu = await testGpu();
      const actual: number[] = [];
      for (const each of cases) {
        const values: LossValues | TokenLossValues = await evaluateLoss(gpu, each);
        if ('dLogp' in values) {
          actual.push(...values.dLogp, values.loss);
          continue;
        }
        const { loss, dPolicyChosen, dPolicyRejected, dPolicy, meanLoss } = values;
        for (const [row, value] of loss.entries()) {
          actual.push(
            value,
            ...[dPolicyChosen, dPolicyRejected, dPolicy].flatMap((side) => side?.[row] ?? []),
          );
        }
        actual.push(meanLoss);
      }
      // Six digits are printed.
      expectClose(actual, expected, { relative: 1e-5 });
    });
  }

  it('your-own.md: the loss works, and its derivative is correct', async () => {
    const { text } = pages.find(({ name }) => name === 'your-own.md') as { text: string };
    const formula = block(text, 'wgsl');
    const capped: Loss = {
      name: 'capped',
      unit: 'pair',
      shader: lossShader('capped.wgsl', formula),
      options: {
        beta: { default: 0.1, range: { from: 0, upTo: 10 } },
        cap: { default: 1, range: { from: 0, reason: 'a cap below 0 would leave no pair to learn from' } },
      },
      metrics: PAIR_METRICS,
      divergences: true,
    };
    const words = (code: string) => code.replace(/\s+/g, ' ');
    expect(words(readFileSync('test/losses/docs.node.test.ts', 'utf8'))).to.include(words(block(text, 'ts')));

    const step = 1 / 64;
    const margins = [-30, -3, 0, 3, 19, 21, 400];
    const zeros = margins.map(() => 0);
    const at = (shift: number) =>
      runPairs(
        capped,
        {
          policyChosen: margins.map((margin) => margin + shift),
          policyRejected: zeros,
          referenceChosen: zeros,
          referenceRejected: zeros,
        },
        { cap: 2 },
      );
    const [{ losses, dchosen }, up, down] = [await at(0), await at(step), await at(-step)];
    const slopes = margins.map((_, p) => (up.losses[p] - down.losses[p]) / (2 * step));
    // A difference of losses near 3, each right to 2e-7, over a step of 1/32.
    expectClose(dchosen, slopes, { absolute: 2e-5, label: 'slope' });
    const exact = margins.map((margin) => Math.log1p(Math.exp(-Math.min(margin / 10, 2))));
    expectClose(losses, exact, { relative: 1e-6, label: 'loss' });
    expect(() => lossOptions(capped, { cap: -1 })).to.throw(RangeError, 'a cap below 0');
  });
});
