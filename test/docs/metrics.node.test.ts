/**
 * `docs/metrics.md` has a line for every metric: of a short run of each trainer with held-out rows, and of every loss of
 * the catalogue. And it has no line for a metric that nothing logs.
 */
import { expect } from 'chai';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { LOSSES } from '../../src/losses/catalogue.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { A2POTrainer } from '../../src/rollout/a2po-trainer.ts';
import { GRPOTrainer } from '../../src/rollout/grpo-trainer.ts';
import { OnlineDPOTrainer } from '../../src/rollout/online-dpo-trainer.ts';
import { PPOTrainer } from '../../src/rollout/ppo-trainer.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import { CPOTrainer } from '../../src/train/cpo-trainer.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { KTOTrainer } from '../../src/train/kto-trainer.ts';
import { ORPOTrainer } from '../../src/train/orpo-trainer.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import { SFTTrainer } from '../../src/train/sft-trainer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { textOf } from '../architecture/sources.ts';
import { fiveTokens } from '../model/five-tokens.ts';
import { fiveWords, LORA } from '../rollout/five-words.ts';
import { testGpu } from '../support/gpu.ts';

const PAGE = 'docs/metrics.md';
const ROW = /^\| ((?:`[^`]+`(?:, )?)+) \|/gm;
const NAME = /`([^`]+)`/g;
/** The name of a reward in the names of metrics. */
const OF_REWARD = /^rewards\/hits\//;

const PAIRS = [0, 1, 2, 3].map((i) => ({ prompt: [3, i], chosen: [4, 1, 2], rejected: [0, 2] }));
const LABELLED = PAIRS.flatMap(({ prompt, chosen, rejected }) => [
  { prompt, completion: chosen, desirable: true },
  { prompt, completion: rejected, desirable: false },
]);
const TEXTS = PAIRS.map(({ prompt, chosen }) => ({ prompt, completion: chosen }));
const PROMPTS = [{ prompt: 'd b e' }, { prompt: 'b' }];

const WRITTEN = {
  trainDataset: PROMPTS,
  evalDataset: PROMPTS,
  rewardFuncs: function hits({ completionIds }: { completionIds: readonly (readonly number[])[] }) {
    return completionIds.map((ids) => ids.length);
  },
};
const writing = { maxCompletionLength: 3, numGenerationsEval: 64, temperature: 1 };
const groups = { ...writing, numGenerations: 2, perDeviceTrainBatchSize: 4 };

/** A run of each trainer, and another one where settings add metrics. */
const RUNS: Readonly<Record<string, readonly [unknown, object, object]>> = {
  dpo: [DPOTrainer, { trainDataset: PAIRS, evalDataset: PAIRS }, { useWeighting: true }],
  cpo: [CPOTrainer, { trainDataset: PAIRS }, {}],
  orpo: [ORPOTrainer, { trainDataset: PAIRS }, {}],
  kto: [KTOTrainer, { trainDataset: LABELLED }, {}],
  sft: [SFTTrainer, { trainDataset: TEXTS }, {}],
  reward: [RewardTrainer, { trainDataset: PAIRS }, {}],
  rloo: [RLOOTrainer, WRITTEN, groups],
  grpo: [GRPOTrainer, WRITTEN, { ...groups, beta: 0.04 }],
  ppo: [PPOTrainer, WRITTEN, { ...writing, perDeviceTrainBatchSize: 2 }],
  'online-dpo': [OnlineDPOTrainer, WRITTEN, { ...writing, perDeviceTrainBatchSize: 2 }],
  a2po: [A2POTrainer, WRITTEN, { ...writing, perDeviceTrainBatchSize: 2, numValueSamples: 2 }],
  'a2po, hot': [
    A2POTrainer,
    { ...WRITTEN, evalDataset: undefined },
    { ...writing, temperature: 2, perDeviceTrainBatchSize: 2, numValueSamples: 2 },
  ],
};

async function logged(model: CausalLM, words: Tokenizer): Promise<Set<string>> {
  const found = new Set<string>();
  for (const [Made, data, args] of Object.values(RUNS)) {
    const trainer = new (Made as new (options: object) => Trainer)({
      model,
      processingClass: words,
      peftConfig: { r: LORA.r, loraAlpha: LORA.loraAlpha },
      args: { maxSteps: 1, learningRate: 1e-3, ...args },
      ...data,
    });
    for await (const event of trainer.train()) {
      if (!('metrics' in event)) continue;
      for (const name of Object.keys(event.metrics)) {
        found.add(name.replace(/^eval_/, '').replace(OF_REWARD, 'rewards/NAME/'));
      }
    }
    model.setAdapter([]);
    trainer.dispose();
  }
  return found;
}

describe(PAGE, () => {
  const listed = [...textOf(PAGE).matchAll(ROW)].flatMap(([, cell]) =>
    [...cell.matchAll(NAME)].map(([, name]) => name),
  );
  let metrics: Set<string>;

  before(async () => {
    const { model } = await fiveTokens(await testGpu(), [2]);
    const ofLosses = Object.values(LOSSES).flatMap((loss) =>
      Object.keys({ ...loss.metrics, ...loss.referenceMetrics }),
    );
    metrics = new Set([...(await logged(model, await fiveWords())), ...ofLosses]);
  });

  it('has a line for every metric', () => {
    expect([...metrics].filter((name) => !listed.includes(name))).to.deep.equal([]);
  });

  it('has no line for a metric that nothing logs', () => {
    expect(listed.filter((name) => !metrics.has(name))).to.deep.equal([]);
  });
});
