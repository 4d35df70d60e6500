/**
 * Reward models compared with TRL's RewardTrainer: twelve steps on the same rows from the same adapter and head, metric by
 * metric, to the same adapter and the scores that transformers computes with it. With a pad token, and with EOS used for
 * padding.
 */
import { expect } from 'chai';
import type { Adapter } from '../../src/io/peft.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import type { Metrics } from '../../src/train/events.ts';
import { RewardModel } from '../../src/train/measures/reward-model.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import trlRewards from '../fixtures/trl-rewards.json' with { type: 'json' };
import { filesOf, productAdapter } from '../model/tiny.ts';
import { expectClose, relativeL2 } from '../reference/compare.ts';
import { decodeArray, dpoTrajectory, type EncodedArray, tinyLlama } from '../reference/fixtures.ts';
import { COARSE_GRADIENT } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

interface Run {
  settings: Record<string, unknown>;
  pad: number;
  rows: { chosen: number[]; rejected: number[]; margin?: number }[];
  head: EncodedArray;
  steps: Record<string, number[]>;
  last: Record<string, EncodedArray>;
  scores: number[];
}

/** The fixture with TRL's pad token. */
async function load(pad: number): Promise<CausalLM> {
  const json = JSON.parse(new TextDecoder().decode(tinyLlama.files.get('config.json')));
  const config = new TextEncoder().encode(JSON.stringify({ ...json, pad_token_id: pad }));
  return CausalLM.load(await testGpu(), filesOf(tinyLlama, { 'config.json': config }));
}

describe('RewardTrainer compared with TRL', function () {
  this.timeout(120_000);

  for (const name of ['plain', 'margin', 'pad_is_eos'] as const) {
    it(`${name}: twelve steps, metric by metric, the adapter and its scores`, async () => {
      const { settings, pad, rows, head, steps, last, scores } = trlRewards[name] as unknown as Run;
      const model = await load(pad);
      const start = productAdapter(model, dpoTrajectory.initial(), dpoTrajectory.lora.alpha);
      const trainer = new RewardTrainer({
        model,
        peftConfig: { ...start, head: decodeArray(head) } satisfies Adapter,
        args: { ...(settings as object), shuffleDataset: false },
        trainDataset: rows.map((row) => ({ prompt: [], ...row })),
      });
      expect(trainer.padTokenId).to.equal(pad);
      const found: Metrics[] = [];
      for await (const event of trainer.train()) if (event.type === 'step') found.push(event.metrics);

      expect(found).to.have.length(12);
      const sides = rows.flatMap(({ chosen, rejected }) => [chosen, rejected]);
      const skipped = sides.map((ids) => ids.length - 1 - ids.findLastIndex((id) => id !== pad));
      for (const [i, metrics] of found.entries()) {
        for (const [metric, values] of Object.entries(steps)) {
          const label = `${metric} of step ${i + 1}`;
          // Twelve steps of four pairs exceed the forty rows. What is skipped at the end is neither computed nor counted.
          const seen = Array.from({ length: 8 * (i + 1) }, (_, s) => skipped[s % skipped.length]);
          const uncounted = metric === 'num_tokens' ? seen.reduce((a, b) => a + b, 0) : 0;
          const expected = values[i] - uncounted;
          const bound =
            metric === 'grad_norm' ? 1e-3 * Math.abs(expected) + COARSE_GRADIENT : 1e-4 + COARSE_GRADIENT;
          expect(metrics[metric], label).to.be.closeTo(expected, bound);
        }
      }
      const adapter = await trainer.adapter!.toAdapter();
      const values = (key: string) => decodeArray(last[key]);
      expect(Object.keys(last)).to.have.length(2 * adapter.weights.size + 1);
      for (const [module, { a, b }] of adapter.weights) {
        expect(relativeL2(a, values(`${module}.lora_A`)), `A of ${module}`).to.be.below(
          1e-3 + COARSE_GRADIENT,
        );
        expect(relativeL2(b, values(`${module}.lora_B`)), `B of ${module}`).to.be.below(
          1e-3 + COARSE_GRADIENT,
        );
      }
      expect(relativeL2(adapter.head!, values('score')), 'head').to.be.below(1e-3 + COARSE_GRADIENT);

      const reward = RewardModel.on(model, trainer.adapter!);
      const ours = await reward.score(rows.slice(0, 6).map(({ chosen }) => ({ ids: chosen })));
      // After twelve steps in float32.
      expectClose(ours, scores, { absolute: 1e-3 + COARSE_GRADIENT });
      trainer.dispose();
      model.dispose();
    });
  }
});
