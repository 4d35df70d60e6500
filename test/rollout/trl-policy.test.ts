/**
 * RLOO and GRPO compared with TRL's own runs of them: twelve steps on the same completions from the same adapter, metric by
 * metric, and the adapter at the end. Four steps share a batch of completions, so that ratios are not 1.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { GRPOTrainer } from '../../src/rollout/grpo-trainer.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import type { RolloutParts } from '../../src/rollout/source.ts';
import type { GRPOArgs, RLOOArgs } from '../../src/train/config.ts';
import type { Metrics } from '../../src/train/events.ts';
import trlPolicy from '../fixtures/trl-policy.json' with { type: 'json' };
import { loadFixture, productAdapter } from '../model/tiny.ts';
import { dpoTrajectory } from '../reference/fixtures.ts';
import { coarseBound } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const { rows } = trlPolicy;
const END = 2;

interface TrlRun {
  settings: Record<string, unknown>;
  rewards: ('first' | 'second')[];
  steps: Record<string, (number | null)[]>;
  adapter: Record<string, [norm: number, wave: number]>;
}

const RUNS = trlPolicy.runs as unknown as Record<string, TrlRun>;

/** The cases that browsers run: one of each kind of formula. */
const IN_BROWSERS = ['rloo', 'dapo-0.04', 'luspo-0.04', 'cispo-0.0', 'vespo-0.04', 'gmpo-0.0'];
const isNode = typeof process === 'object' && !!process.versions?.node;

const words = () => {
  const vocab = { '<pad>': 0, '<s>': 1, '</s>': 2 };
  for (let id = 3; id < 97; id++) Object.assign(vocab, { [`w${id}`]: id });
  return Tokenizer.fromFiles(
    memoryFiles({
      'tokenizer.json': JSON.stringify({
        model: { type: 'WordLevel', vocab, unk_token: '<pad>' },
        pre_tokenizer: { type: 'WhitespaceSplit' },
        normalizer: null,
        post_processor: null,
        decoder: null,
        added_tokens: [],
      }),
    }),
  );
};

/** The recorded rewards of a function. */
function recorded(name: 'first' | 'second'): BatchReward {
  const known = new Map(
    rows.flatMap((row) =>
      row.completions.map((ids, i): [string, number | null] => [ids.join(' '), row[name][i] ?? null]),
    ),
  );
  const reward: BatchReward = ({ completionIds }) =>
    completionIds.map((ids) => known.get(ids.join(' ')) as number | null);
  return Object.defineProperty(reward, 'name', { value: name });
}

/** The recorded completions instead of generated ones. */
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

/** Means over tokens, which TRL takes in each micro-batch and then over micro-batches, and we take over all tokens. */
const UNLIKE: Readonly<Record<string, readonly string[]>> = {
  accumulated: ['clip_ratio/low_mean', 'clip_ratio/high_mean', 'clip_ratio/region_mean', 'kl'],
};

/** Relative, and absolute near 0, where float32 sums of a hundred numbers near 1 have about this error. */
const METRIC = { relative: 1e-2, absolute: 2e-5 };
const EXACT = { relative: 1e-3, absolute: 2e-5 };

async function follow(name: string, { settings, rewards, steps, adapter }: TrlRun): Promise<void> {
  const model = await loadFixture(await testGpu());
  const peftConfig = productAdapter(model, dpoTrajectory.initial(), dpoTrajectory.lora.alpha);
  const common = {
    model,
    peftConfig,
    processingClass: await words(),
    rewardFuncs: rewards.map(recorded),
    trainDataset: rows.map(({ prompt }) => ({ prompt: prompt.map((id) => `w${id}`).join(' ') })),
  };
  // TRL's names work too.
  const args = { ...settings, shuffleDataset: false, ...(name.startsWith('gmpo') && { lossType: 'gmpo' }) };
  const trainer = name.startsWith('rloo')
    ? new RLOOTrainer({ ...common, args: args as RLOOArgs })
    : new GRPOTrainer({ ...common, args: args as GRPOArgs });
  const { source } = (trainer as unknown as { task: { source: { parts: RolloutParts } } }).task;
  source.parts.sample = sample;
  const found: Metrics[] = [];
  for await (const event of trainer.train()) if (event.type === 'step') found.push(event.metrics);
  const written = await trainer.adapter!.toAdapter();
  trainer.dispose();
  model.dispose();

  expect(found).to.have.length(12);
  for (const [metric, values] of Object.entries(steps)) {
    if (UNLIKE[name]?.includes(metric)) continue;
    values.forEach((value, i) => {
      if (value === null) return;
      const { relative, absolute } = metric === 'grad_norm' ? EXACT : METRIC;
      const bound = coarseBound(metric, absolute + relative * Math.abs(value));
      expect(found[i]?.[metric], `${metric} of step ${i + 1}`).to.be.closeTo(value, bound);
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

describe('rollout: RLOO and GRPO compared with TRL', function () {
  this.timeout(60_000);
  for (const [name, run] of Object.entries(RUNS)) {
    if (!isNode && !IN_BROWSERS.includes(name)) continue;
    it(`${name}: twelve steps, metric by metric, and the adapter`, () => follow(name, run));
  }
});
