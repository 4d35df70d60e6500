/**
 * PPO compared with that of TRL 1.12: three batches of the same completions, two passes in two parts each, from the same
 * adapters and head. With the score on the last token, and after the end.
 */
import { expect } from 'chai';
import type { TokenizedExample } from '../../src/data/packing.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf } from '../../src/losses/family.ts';
import { PPOExperience } from '../../src/rollout/ppo-experience.ts';
import type { Samples } from '../../src/rollout/sampling.ts';
import { PPO_DEFAULTS } from '../../src/train/config.ts';
import { LossEvaluation } from '../../src/train/evaluation.ts';
import type { Metrics } from '../../src/train/events.ts';
import { scalars } from '../../src/train/scorer.ts';
import type { ExampleSource } from '../../src/train/source.ts';
import { Trainer } from '../../src/train/trainer.ts';
import runs from '../fixtures/ppo-runs.json' with { type: 'json' };
import { loadFixture, productAdapter } from '../model/tiny.ts';
import { relativeL2 } from '../reference/compare.ts';
import { decodeArray, dpoTrajectory, type EncodedArray } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const { longest } = runs;
const END = 2;
/** The fourth metric is a variance of means of batches in TRL; the others count padding if completions are short. */
const OVER_PADDING = ['policy/approxkl_avg', 'policy/entropy_avg', 'val/ratio', 'val/ratio_var'];
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** A source of recorded completions, in their order. */
function recorded({ rollouts, settings }: typeof runs.last, maker: PPOExperience): ExampleSource {
  const serves = settings.num_ppo_epochs * settings.num_mini_batches;
  const size = settings.per_device_train_batch_size / settings.num_mini_batches;
  let current: TokenizedExample[] = [];
  let metrics: Metrics = {};
  const samplesOf = ({ prompts, completions }: (typeof rollouts)[number]): Samples => {
    const texts = completions.map((ids) => ids.join(' '));
    return {
      tokenizer: undefined!,
      prompts: prompts.map((ids) => ({ row: { prompt: ids.join(' '), columns: {} }, ids })),
      examples: prompts.map((prompt, i) => ({ prompt, completions: [completions[i]] })),
      completions: texts,
      finished: completions.map((ids) => (ids.at(-1) === END ? 'eos' : 'length')),
    };
  };
  return {
    length: 24,
    batchSize: size,
    stepsPerEpoch: serves * rollouts.length,
    waits: true,
    usesReference: true,
    identity: 'recorded',
    ahead: () => undefined,
    largest: () => current.slice(0, size),
    shortest: () => current.slice(0, size),
    async *step(step, context) {
      const [number, within] = [Math.floor((step - 1) / serves), (step - 1) % serves];
      if (within === 0) {
        const made = await maker.make(samplesOf(rollouts[number]), context, {
          step,
          signal: undefined,
          keep: async () => undefined,
        });
        current = made.examples;
        metrics = made.metrics;
      }
      const part = within % settings.num_mini_batches;
      return {
        examples: current.slice(part * size, (part + 1) * size),
        metrics,
        derive: (means) => maker.derive(means),
      };
    },
    save: () => undefined,
    restore: () => {},
  };
}

async function follow(run: typeof runs.last, scoreAfterEos: boolean) {
  const { settings, rollouts } = run;
  const model = await loadFixture(await testGpu());
  const { alpha } = dpoTrajectory.lora;
  const start = () => productAdapter(model, dpoTrajectory.initial(), alpha);
  const rows = scoreAfterEos ? { states: longest } : ('targets' as const);
  const config = {
    ...PPO_DEFAULTS,
    learningRate: settings.learning_rate,
    lrSchedulerType: 'constant' as const,
    maxGradNorm: 0,
    perDeviceTrainBatchSize: settings.per_device_train_batch_size,
    maxSteps: rollouts.length * settings.num_ppo_epochs * settings.num_mini_batches,
    temperature: settings.temperature,
    klCoef: settings.kl_coef,
    gamma: settings.gamma,
    lam: settings.lam,
    missingEosPenalty: settings.missing_eos_penalty,
  };
  const family = { ...config, beta: config.klCoef };
  const loss = lossOf(FAMILIES.ppo, { ...family, lossType: 'ppo' });
  const valueLoss = lossOf(FAMILIES.ppo, { ...family, lossType: 'ppo_value' });
  const scores = new Map(
    rollouts.flatMap(({ completions, scores }) => completions.map((ids, i) => [ids.join(' '), scores[i]])),
  );
  const reward = ({ completionIds }: { completionIds: readonly (readonly number[])[] }) =>
    completionIds.map((ids) => scores.get(ids.join(' '))!);
  const maker = new PPOExperience(
    loss.reads,
    { reads: valueLoss.reads, rows },
    [{ name: 'score', reward, weight: 1 }],
    { ...config, episodes: settings.per_device_train_batch_size, serves: 4 },
  );
  const head = decodeArray(run.head as EncodedArray);
  const value = { adapter: start(), head };
  const trainer = new Trainer(
    { model, peftConfig: start() },
    {
      config,
      loss,
      beside: [
        { name: 'value', scorer: scalars(rows), loss: valueLoss, weight: settings.vf_coef, start: value },
      ],
      source: recorded(run, maker),
      evaluation: new LossEvaluation([], 4),
      temperature: settings.temperature,
      notices: [],
    },
  );
  const found: Metrics[] = [];
  // The completions are known, so nothing is rehearsed.
  trainer.plan = async () => ({}) as never;
  for await (const event of trainer.train()) if (event.type === 'step') found.push(event.metrics);
  const trained = await trainer.adapter!.parameters!.read('values');
  trainer.dispose();
  model.dispose();
  return { found, trained };
}

describe('rollout: PPO compared with that of TRL 1.12', () => {
  for (const [name, behind] of [
    ['last', false],
    ['behind', true],
  ] as const) {
    it(`gives the score ${behind ? 'behind the end' : 'on the last token'}: metrics, gradients and adapters`, async () => {
      const run = runs[name] as typeof runs.last;
      const { found, trained } = await follow(run, behind);
      expect(found.length).to.equal(run.gradNorms.length);
      for (const [i, norm] of run.gradNorms.entries())
        expect(found[i].grad_norm / norm, `gradient norm of step ${i + 1}`).to.be.closeTo(
          1,
          1e-3 + COARSE_PASS,
        );
      const serves = found.length / run.rollouts.length;
      for (const [metric, values] of Object.entries(run.updates)) {
        if (metric === 'val/ratio_var' || (behind && OVER_PADDING.includes(metric))) continue;
        for (const [update, value] of values.entries()) {
          const steps = found.slice(update * serves, (update + 1) * serves);
          const ours = mean(steps.map((metrics) => metrics[metric]));
          const bound = 1e-2 * Math.max(Math.abs(value), 0.1) + COARSE_PASS;
          expect(ours, `${metric} of batch ${update + 1}`).to.be.closeTo(value, bound);
        }
      }
      for (const [prefix, adapter] of [
        ['', run.policy],
        ['value.', run.value],
      ] as const) {
        for (const [key, array] of Object.entries(adapter as Record<string, EncodedArray>)) {
          const own = prefix + (key === 'score.weight' ? key : key.replace(/\.weight$/, ''));
          expect(relativeL2(trained.get(own)!, decodeArray(array)), own).to.be.below(1e-3 + COARSE_PASS);
        }
      }
    });
  }
});
