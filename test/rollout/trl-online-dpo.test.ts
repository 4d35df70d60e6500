/**
 * Online DPO compared with TRL's own runs of it: twelve steps on the same completions from the same adapter, metric by
 * metric, and the adapter at the end.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { OnlineDPOTrainer } from '../../src/rollout/online-dpo-trainer.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import type { RolloutParts } from '../../src/rollout/source.ts';
import type { Metrics } from '../../src/train/events.ts';
import trl from '../fixtures/trl-online-dpo.json' with { type: 'json' };
import { loadFixture, productAdapter } from '../model/tiny.ts';
import { dpoTrajectory } from '../reference/fixtures.ts';
import { coarseBound } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const END = 2;

interface TrlRun {
  settings: Record<string, unknown>;
  rows: { prompt: number[]; completions: number[][]; rewards: number[] }[];
  steps: Record<string, (number | null)[]>;
  adapter: Record<string, [norm: number, wave: number]>;
}

const words = () => {
  const vocab = { '<pad>': 0, '<s>': 1, '</s>': 2 };
  for (let id = 3; id < 97; id++) Object.assign(vocab, { [`w${id}`]: id });
  const model = { type: 'WordLevel', vocab, unk_token: '<pad>' };
  const nothing = { normalizer: null, post_processor: null, decoder: null, added_tokens: [] };
  const tokenizer = { model, pre_tokenizer: { type: 'WhitespaceSplit' }, ...nothing };
  return Tokenizer.fromFiles(memoryFiles({ 'tokenizer.json': JSON.stringify(tokenizer) }));
};

/**
 * Relative, and absolute near 0: TRL rounds its loss to four decimals, and sums of a hundred numbers near 1 have about this
 * error.
 */
const METRIC = { relative: 1e-2, absolute: 1e-4 };
const EXACT = { relative: 1e-3, absolute: 2e-5 };

async function follow({ settings, rows, steps, adapter }: TrlRun): Promise<void> {
  const rewards = new Map(
    rows.flatMap((row) => row.completions.map((ids, i) => [ids.join(' '), row.rewards[i]])),
  );
  const recorded: BatchReward = ({ completionIds }) =>
    completionIds.map((ids) => rewards.get(ids.join(' '))!);
  const sample: RolloutParts['sample'] = async function* (_model, tokenizer, prompts) {
    const examples = prompts.map(({ ids }) => {
      const row = rows.find(({ prompt }) => prompt.join(' ') === ids.join(' '));
      return { prompt: ids, completions: row?.completions.map((completion) => [...completion]) ?? [] };
    });
    const all = examples.flatMap(({ completions }) => completions);
    yield 0;
    return {
      tokenizer,
      prompts,
      examples,
      completions: all.map((ids) => ids.join(' ')),
      finished: all.map((ids) => (ids.at(-1) === END ? 'eos' : 'length')),
    };
  };
  const model = await loadFixture(await testGpu());
  const trainer = new OnlineDPOTrainer({
    model,
    peftConfig: productAdapter(model, dpoTrajectory.initial(), dpoTrajectory.lora.alpha),
    processingClass: await words(),
    rewardFuncs: recorded,
    trainDataset: rows.map(({ prompt }) => ({ prompt: prompt.map((id) => `w${id}`).join(' ') })),
    args: { ...settings, shuffleDataset: false },
  });
  const { source } = (trainer as unknown as { task: { source: { parts: RolloutParts } } }).task;
  source.parts.sample = sample;
  const found: Metrics[] = [];
  for await (const event of trainer.train()) if (event.type === 'step') found.push(event.metrics);
  const written = await trainer.adapter!.toAdapter();
  trainer.dispose();
  model.dispose();

  expect(found).to.have.length(12);
  for (const [metric, values] of Object.entries(steps)) {
    values.forEach((value, i) => {
      const { relative, absolute } = metric === 'grad_norm' ? EXACT : METRIC;
      const bound = coarseBound(metric, absolute + relative * Math.abs(value!));
      expect(found[i]?.[metric], `${metric} of step ${i + 1}`).to.be.closeTo(value!, bound);
    });
  }
  for (const [key, [norm, wave]] of Object.entries(adapter)) {
    const [, module, side] = /^(.*)\.lora_([AB])$/.exec(key) as unknown as [string, string, 'A' | 'B'];
    const weights = written.weights.get(module);
    const values = side === 'A' ? weights?.a : weights?.b;
    if (!values) throw new Error(`no ${key} among ${[...written.weights.keys()]}`);
    const own = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    const product = values.reduce((sum, value, i) => sum + value * Math.cos(i), 0);
    const bound = coarseBound('adapter', 1e-3 * norm);
    expect(own, `norm of ${key}`).to.be.closeTo(norm, bound);
    expect(product, `product of ${key}`).to.be.closeTo(wave, bound);
  }
}

describe('rollout: online DPO compared with TRL', function () {
  this.timeout(60_000);
  for (const [name, run] of Object.entries(trl.runs as unknown as Record<string, TrlRun>)) {
    it(`${name}: twelve steps, metric by metric, and the adapter`, () => follow(run));
  }
});
