/**
 * What every trainer must do on its own kind of data: learn it, be the same twice, and end with the same result whether it
 * was stopped or not; and what none of them accepts.
 */
import { expect } from 'chai';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { InputError } from '../../src/io/errors.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { sigmoid } from '../../src/losses/pair-losses.ts';
import { lossShader } from '../../src/losses/shader.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { CPOTrainer } from '../../src/train/cpo-trainer.ts';
import { type LabelledSequence, withBaselines } from '../../src/train/datasets.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { KTOTrainer } from '../../src/train/kto-trainer.ts';
import { ORPOTrainer } from '../../src/train/orpo-trainer.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import { SFTTrainer } from '../../src/train/sft-trainer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

const PAIRS = randomPairs(8, 31);
const LABELLED: LabelledSequence[] = PAIRS.flatMap(({ prompt, chosen, rejected }) => [
  { prompt, completion: chosen, desirable: true },
  { prompt, completion: rejected, desirable: false },
]);
const TEXTS = PAIRS.map(({ prompt, chosen }) => ({ prompt, completion: chosen }));
const SMALL = { learningRate: 5e-3, perDeviceTrainBatchSize: 4, numTrainEpochs: 2, seed: 3, saveSteps: 1 };

type Args = Record<string, unknown>;
type Start = (model: CausalLM, args: Args, checkpoint?: CheckpointStore) => Trainer;

/** Data and trainer of a kind, with settings from the test. */
function starter(Made: unknown, trainDataset: readonly unknown[]): Start {
  return (model, args, checkpoint) =>
    new (Made as new (options: object) => Trainer)({
      model,
      args: { ...SMALL, ...args },
      trainDataset,
      evalDataset: trainDataset.slice(0, 6),
      peftConfig: LORA,
      ...(checkpoint ? { checkpoint } : {}),
    });
}

const TRAINERS: Record<string, Start> = {
  KTOTrainer: starter(KTOTrainer, LABELLED),
  CPOTrainer: starter(CPOTrainer, PAIRS),
  ORPOTrainer: starter(ORPOTrainer, PAIRS),
  SFTTrainer: starter(SFTTrainer, TEXTS),
};
const dpo = starter(DPOTrainer, PAIRS);
const { KTOTrainer: kto, CPOTrainer: cpo } = TRAINERS;

describe('trainers', () => {
  for (const [name, start] of Object.entries({ DPOTrainer: dpo, ...TRAINERS })) {
    it(`${name} with activations in float16: the same loss, nearly the same way, the same bytes twice and resumed`, async () => {
      const gpu = await testGpu();
      const steps = start === dpo ? 30 : 6;
      const args = { maxSteps: steps, saveSteps: 0 };
      const way = (more: Args, checkpoint?: CheckpointStore, stopAfter?: number) =>
        trained(gpu, (model) => start(model, { ...args, ...more }, checkpoint), stopAfter);
      const exact = eachStep((await way({})).events, 'loss');
      const saving = { savedActivations: 'float16' };
      const whole = await way(saving);
      const losses = eachStep(whole.events, 'loss');
      expect(losses.length).to.equal(steps);
      // The forward pass is the same, so before the first update nothing can differ. Later, errors of about 4e-4 in
      // gradients have an effect, most where gradients are near zero: AdamW's steps do not depend on a gradient's size.
      expect(losses[0]).to.equal(exact[0]);
      losses.forEach((loss, i) => {
        expect(loss, `step ${i + 1}`).to.be.closeTo(exact[i], 2e-3 * Math.max(1, exact[i]));
      });
      expect(losses).not.to.deep.equal(exact);

      const checkpoint = memoryCheckpointStore();
      await way(saving, checkpoint, 3);
      const resumed = await way(saving, checkpoint);
      expect(resumed.events[0]).to.have.property('resumedFrom').within(3, 5);
      expect(resumed.bytes).to.deep.equal(whole.bytes);
    });

    if (start === dpo) continue;
    it(`${name} learns its data`, async () => {
      const args = { numTrainEpochs: 12, evalSteps: 1, learningRate: 1e-2 };
      const { log } = await trained(await testGpu(), (model) => start(model, args));
      const evaluated = log.flatMap((entry) => (entry.type === 'evaluate' ? [entry.metrics] : []));
      const [first, last] = [evaluated[0], evaluated.at(-1)] as [
        Record<string, number>,
        Record<string, number>,
      ];
      expect(last.eval_loss).to.be.below(0.8 * first.eval_loss);
      const margin = last['eval_rewards/margins'];
      if (margin !== undefined) expect(margin).to.be.above(first['eval_rewards/margins']);
    });

    it(`${name} is deterministic, and stopped and resumed, byte for byte`, async () => {
      const gpu = await testGpu();
      const whole = await trained(gpu, (model) => start(model, {}));
      const again = await trained(gpu, (model) => start(model, {}));
      expect(again.bytes).to.deep.equal(whole.bytes);
      expect(again.log).to.deep.equal(whole.log);
      const checkpoint = memoryCheckpointStore();
      await trained(gpu, (model) => start(model, {}, checkpoint), 1);
      const resumed = await trained(gpu, (model) => start(model, {}, checkpoint));
      expect(resumed.events[0]).to.have.property('resumedFrom').within(1, 3);
      expect(resumed.bytes).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
    });
  }

  it('SFT with accumulation equals SFT without: token means are over the step', async () => {
    const gpu = await testGpu();
    const sft = TRAINERS.SFTTrainer;
    const [whole, parts] = [
      await trained(gpu, (model) => sft(model, {})),
      await trained(gpu, (model) => sft(model, { perDeviceTrainBatchSize: 1, gradientAccumulationSteps: 4 })),
    ];
    eachStep(parts.events, 'loss').forEach((loss, i) => {
      // Sums of gradients in another order.
      expect(loss).to.be.closeTo(eachStep(whole.events, 'loss')[i], 5e-6);
    });
  });

  it('DPO accepts a user-defined loss, alone and in a list', async () => {
    const halved: Loss = {
      ...sigmoid,
      name: 'halved',
      shader: lossShader(
        'halved.wgsl',
        `#include "lib/pairwise.wgsl"
        struct Options { beta: f32, share: f32 }
        fn loss(pair: Pair, options: Options) -> PairResult {
          let z = options.beta * score_margin(pair);
          return of_margin(pair, -options.share * log_sigmoid(z), -options.share * options.beta * sigmoid(-z));
        }`,
      ),
      options: { beta: { default: 0.1 }, share: { default: 0.5, range: { from: 0 } } },
    };
    const gpu = await testGpu();
    const lossesOf = async (lossType: unknown, options: Args = {}) => {
      const { log } = await trained(gpu, (model) => dpo(model, { lossType, ...options }));
      return log.flatMap((entry) => (entry.type === 'step' ? [entry.metrics.loss] : []));
    };
    const plain = await lossesOf('sigmoid');
    // Two halves are a whole.
    const list = await lossesOf([halved, halved]);
    expect(list.length).to.equal(plain.length);
    list.forEach((loss, i) => {
      expect(loss).to.be.closeTo(plain[i], 1e-6);
    });
    // Its own option is a setting of the run.
    const whole = await lossesOf(halved, { share: 1 });
    whole.forEach((loss, i) => {
      expect(loss).to.be.closeTo(plain[i], 1e-6);
    });
    const model = await loadFixture(gpu);
    expect(() => kto(model, { lossType: halved })).to.throw(InputError, 'halved works on a pair');
    expect(() => dpo(model, { lossType: halved, share: -1 })).to.throw(
      InputError,
      'share is -1. Give a number from 0',
    );
    expect(() => dpo(model, { lossType: 'hinge', share: 1 })).to.throw(
      InputError,
      'unknown settings: "share"',
    );
    model.dispose();
  });

  it('SFT learns prompts too if requested, except their first token', async () => {
    const gpu = await testGpu();
    const sft = TRAINERS.SFTTrainer;
    const whole = TEXTS.map(({ prompt: [first, ...rest], completion }) => ({
      prompt: [first],
      completion: [...rest, ...completion],
    }));
    const asked = await trained(gpu, (model) => sft(model, { completionOnlyLoss: false, maxSteps: 2 }));
    const given = await trained(gpu, (model) => starter(SFTTrainer, whole)(model, { maxSteps: 2 }));
    expect(asked.bytes).to.deep.equal(given.bytes);
  });

  it('all weights learn without a reference', async () => {
    const model = await loadFixture(await testGpu(), undefined, true);
    const args = { ...SMALL, learningRate: 3e-3, numTrainEpochs: 6 };
    const trainer = new SFTTrainer({ model, args, trainDataset: TEXTS, peftConfig: null });
    const losses: number[] = [];
    for await (const event of trainer.train()) {
      if (event.type === 'step') losses.push(event.metrics.loss);
      expect(event.type).not.to.equal('reference');
    }
    expect(losses.at(-1)).to.be.below(0.8 * losses[0]);
    trainer.dispose();
    model.dispose();
  });
});

describe('KTO’s baselines', () => {
  const examples = LABELLED.slice(0, 7).map(({ prompt, completion }) => ({
    prompt,
    completions: [completion],
  }));
  const settings = { batchSize: 3, seed: 1, shuffled: false, maxLength: 100 };

  it('come from the previous example in the batch; a last batch of one uses one of the previous batch', () => {
    const others = withBaselines(examples, settings).map(({ completions: [, other] }) => other);
    const from = [2, 0, 1, 5, 3, 4, 5];
    expect(others).to.deep.equal(from.map((i) => examples[i].completions[0]));
  });

  it('are truncated to fit, and shuffled once, by the seed', () => {
    const maxLength = 8;
    for (const { prompt, completions } of withBaselines(examples, { ...settings, maxLength })) {
      expect(completions[1].length).to.be.within(1, Math.max(1, maxLength - prompt.length));
    }
    const shuffled = (seed: number) => withBaselines(examples, { ...settings, shuffled: true, seed });
    expect(shuffled(1)).to.deep.equal(shuffled(1));
    expect(shuffled(1)).not.to.deep.equal(shuffled(2));
  });
});

describe('trainers reject', () => {
  const refusals: [string, Start, Args, RegExp][] = [
    ['an unknown loss', dpo, { lossType: 'dpo' }, /unknown loss "dpo".*Supported losses: sigmoid, /],
    [
      'a loss of another family',
      kto,
      { lossType: 'sigmoid' },
      /"sigmoid".*Supported losses: kto, apo_zero_unpaired/,
    ],
    ['an unknown setting', cpo, { simpoBeta: 1 }, /unknown settings: "simpoBeta"/],
    [
      'a divergence without a reference',
      cpo,
      { fDivergence: 'js_divergence' },
      /unknown settings: "fDivergence"/,
    ],
    [
      'a divergence with a loss of the reverse KL',
      dpo,
      { lossType: 'nca_pair', fDivergence: 'js_divergence' },
      /nca_pair requires the reverse KL.*use one of sigmoid/,
    ],
    ['an unknown divergence', dpo, { fDivergence: 'tv' }, /fDivergence is "tv".*reverse_kl/],
    ['ldAlpha with KTO', kto, { ldAlpha: 0.5 }, /unknown settings: "ldAlpha"/],
    ['ldAlpha beyond 1', dpo, { ldAlpha: 1.5 }, /ldAlpha is 1.5/],
    ['a wrong number of weights', dpo, { lossWeights: [1, 2] }, /lossWeights has 2 entries for 1/],
    [
      'weighting of sorted losses',
      dpo,
      { lossType: 'aot', useWeighting: true },
      /aot has no loss for a single/,
    ],
    [
      'an unknown kind of activations',
      dpo,
      { savedActivations: 'int8' },
      /savedActivations is "int8".*float16/,
    ],
    [
      'activations that are not saved in float16',
      dpo,
      { gradientCheckpointing: true, savedActivations: 'float16' },
      /gradientCheckpointing saves no activations, but savedActivations asks for them in float16.*only one of them/,
    ],
    ['KTO with a batch of one', kto, { perDeviceTrainBatchSize: 1 }, /perDeviceTrainBatchSize is 1/],
  ];
  it('token ids without a completion, by their row', async () => {
    const model = await loadFixture(await testGpu());
    const rows = [...TEXTS, { prompt: [1], completion: [] }];
    expect(() => starter(SFTTrainer, rows)(model, {})).to.throw(InputError, /row 9: has an empty/);
    model.dispose();
  });

  it('pairs with equal tokens in every row, and report their number otherwise', async () => {
    const model = await loadFixture(await testGpu());
    const same = PAIRS.map(({ prompt, chosen }) => ({ prompt, chosen, rejected: [...chosen] }));
    for (const Made of [DPOTrainer, CPOTrainer, ORPOTrainer, RewardTrainer]) {
      const make = (rows: readonly unknown[]) => starter(Made, rows)(model, {});
      expect(() => make(same), Made.name).to.throw(
        InputError,
        /row 1: chosen and rejected have the same tokens, in this row and in all others of 8 pairs/,
      );
      const some = [...PAIRS.slice(0, 6), ...same.slice(6)];
      expect(make(some).notices, Made.name).to.deep.equal([
        'In 2 of 8 pairs chosen and rejected are the same tokens, first in row 7. Such pairs have no effect.',
      ]);
    }
    // All of the held-out rows may be so.
    const held = new DPOTrainer({
      model,
      args: SMALL,
      trainDataset: PAIRS,
      evalDataset: same.slice(0, 1),
      peftConfig: LORA,
    });
    expect(held.notices.join()).to.include('In 1 of 1 pair ');
    model.dispose();
  });

  for (const [name, start, args, message] of refusals) {
    it(name, async () => {
      const model = await loadFixture(await testGpu());
      expect(() => start(model, args)).to.throw(InputError, message);
      model.dispose();
    });
  }

  it('completions of one kind only, and report unbalanced kinds', async () => {
    const model = await loadFixture(await testGpu());
    const make = (data: readonly unknown[], args: Args = {}) => starter(KTOTrainer, data)(model, args);
    const desirable = LABELLED.filter((row) => row.desirable);
    expect(() => make(desirable)).to.throw(InputError, /all 8 completions are desirable/);
    expect(() => make(LABELLED.filter((row) => !row.desirable))).to.throw(InputError, /are undesirable/);
    const unbalanced = [...desirable, LABELLED[1]];
    expect(make(unbalanced).notices.join()).to.match(
      /8 completions are desirable and 1 are not.*8.00 to 1.*desirableWeight between 0.13 and 0.17/,
    );
    expect(make(unbalanced, { desirableWeight: 0.15 }).notices).to.deep.equal([]);
    expect(make(LABELLED).notices).to.deep.equal([]);
    model.dispose();
  });
});
