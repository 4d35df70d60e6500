/**
 * Writing, and the steps that consist mostly of it: generation by rows and by the length of prompts, with an adapter on; whole steps of
 * reinforcement learning, from prompts to new weights. Of the embedded model by its shape, with random weights.
 */
import { Tokenizer } from '../../../src/data/tokenizer.ts';
import type { Gpu } from '../../../src/gpu/device.ts';
import { memoryFiles } from '../../../src/io/files.ts';
import type { JsonObject } from '../../../src/io/json.ts';
import { CausalLM } from '../../../src/model/causal-lm.ts';
import { generate } from '../../../src/model/generation.ts';
import { freshAdapter } from '../../../src/model/lora.ts';
import { PPOTrainer } from '../../../src/rollout/ppo-trainer.ts';
import type { BatchReward } from '../../../src/rollout/rewards.ts';
import { RLOOTrainer } from '../../../src/rollout/rloo-trainer.ts';
import type { Trainer } from '../../../src/train/trainer.ts';
import type { Case, Run } from '../bench.ts';
import { numbers, tokens } from '../inputs.ts';
import { writingJob } from '../jobs.ts';
import { MODELS, randomModel } from '../models.ts';

const MODEL = MODELS.embedded;
const VOCABULARY = MODEL.vocab_size;
const NEW_TOKENS = 32;
const RANK = 8;

/** The model with an adapter on every linear layer, whose B is not zero. */
export async function adaptedModel(gpu: Gpu, json: JsonObject = MODEL): Promise<CausalLM> {
  const model = await CausalLM.load(gpu, randomModel(json, 'random'));
  const config = { r: RANK, loraAlpha: 2 * RANK, targetModules: ['all'], useRslora: false };
  const adapter = freshAdapter(config, model.linears, 'random', 1);
  for (const { b } of adapter.weights.values()) b.set(numbers(1, b.length, 0.1));
  model.attach(adapter);
  return model;
}

const generation: readonly Case[] = [1, 16, 64, 256].flatMap((sequences) =>
  [16, 256].map(
    (prompt): Case => ({
      id: `writing, ${sequences} at a time, prompts of ${prompt}`,
      group: 'writing',
      size: { sequences, prompt },
      work: { tokens: sequences * NEW_TOKENS },
      quick: false,
      async make(gpu) {
        const model = await adaptedModel(gpu);
        const ids = Array.from({ length: sequences }, (_, i) => tokens(i, prompt, VOCABULARY));
        const options = { maxNewTokens: NEW_TOKENS, eosTokenIds: [], seed: 1, returnLogprobs: true };
        let last = 0;
        return {
          async start() {
            last = (await generate(model, ids, options)).length;
          },
          finish: async () => last,
          dispose: () => model.dispose(),
        };
      },
    }),
  ),
);

/** The same with the model alone and the likeliest tokens, which peers that only run models write too. */
const beside: readonly Case[] = [1, 16, 64].map((sequences): Case => {
  const prompts = Array.from({ length: sequences }, (_, i) => [...tokens(i, 16, VOCABULARY)]);
  return {
    id: `writing the likeliest, ${sequences} at a time`,
    group: 'writing',
    size: { sequences, prompt: 16 },
    work: { tokens: sequences * NEW_TOKENS },
    quick: sequences === 1,
    async make(gpu) {
      const model = await CausalLM.load(gpu, randomModel(MODEL, 'random'));
      const options = { maxNewTokens: NEW_TOKENS, eosTokenIds: [], temperature: 0 };
      let written: number[][] = [];
      return {
        async start() {
          written = (await generate(model, prompts, options)).map(({ ids }) => ids);
        },
        finish: async () => written[0][0],
        result: async () => Float32Array.from(written.flat()),
        dispose: () => model.dispose(),
      };
    },
    job: () => writingJob(MODEL, prompts, NEW_TOKENS),
  };
});

/** Texts that end by chance, 64 of them in 16 rows: what ended rows cost. */
const unequal: Case = {
  id: 'writing, 64 texts of unequal lengths, 16 at a time',
  group: 'writing',
  size: { sequences: 64 },
  // As many as were counted with this seed.
  work: { tokens: 788 },
  quick: false,
  async make(gpu) {
    const model = await adaptedModel(gpu);
    const ids = Array.from({ length: 64 }, (_, i) => tokens(i, 16, VOCABULARY));
    const eosTokenIds = Array.from({ length: 64 }, (_, i) => 16 * i);
    const options = { maxNewTokens: NEW_TOKENS, eosTokenIds, seed: 1, batchSize: 16 };
    let last = 0;
    return {
      async start() {
        last = (await generate(model, ids, options)).length;
      },
      finish: async () => last,
      dispose: () => model.dispose(),
    };
  },
};

/** One token per word. */
function tokenizer(): Promise<Tokenizer> {
  const vocab = Object.fromEntries(Array.from({ length: VOCABULARY }, (_, i) => [`w${i}`, i]));
  const file = {
    model: { type: 'WordLevel', vocab, unk_token: 'w0' },
    pre_tokenizer: { type: 'Whitespace' },
    normalizer: null,
    post_processor: null,
    decoder: null,
    added_tokens: [],
  };
  return Tokenizer.fromFiles(memoryFiles({ 'tokenizer.json': JSON.stringify(file) }));
}

const GROUPS = 8;
const PROMPT = 8;
const COMPLETION = 40;
const rewardOf: BatchReward = function spread({ completionIds }) {
  return completionIds.map((ids) => Math.sin(ids.reduce((sum, id) => sum + id, 0)));
};

/** The steps of a trainer, one at a time. */
function stepsOf(trainer: Trainer, model: CausalLM): Run {
  const stop = new AbortController();
  const events = trainer.train({ signal: stop.signal });
  let steps = 0;
  return {
    async start() {
      for (;;) {
        const { value, done } = await events.next();
        if (done) throw new Error('the run has ended');
        if (value.type !== 'step') continue;
        steps = value.step;
        return;
      }
    },
    finish: async () => steps,
    dispose() {
      stop.abort();
      trainer.dispose();
      model.dispose();
    },
  };
}

const TRAINERS = { RLOO: RLOOTrainer, PPO: PPOTrainer } as const;

const rollouts: readonly Case[] = [4, 8].flatMap((group) =>
  (Object.keys(TRAINERS) as (keyof typeof TRAINERS)[]).map((name): Case => {
    const completions = GROUPS * group;
    return {
      id: `step of ${name}, ${GROUPS} × ${group} × ${COMPLETION}`,
      group: 'rollouts',
      size: { completions },
      work: { tokens: completions * COMPLETION },
      quick: false,
      async make(gpu) {
        const model = await CausalLM.load(gpu, randomModel(MODEL, 'random'));
        const rows = Array.from({ length: 2 * completions }, (_, i) => ({
          prompt: [...tokens(i, PROMPT, VOCABULARY)].map((id) => `w${id}`).join(' '),
        }));
        const args = {
          maxSteps: 10_000,
          perDeviceTrainBatchSize: completions,
          maxCompletionLength: COMPLETION,
          learningRate: 1e-3,
          seed: 1,
          // PPO compares a completion with its value: as many prompts as completions. One pass, so that a step is a
          // rollout.
          ...(name === 'RLOO' ? { numGenerations: group } : { numPpoEpochs: 1 }),
        };
        const trainer = new TRAINERS[name]({
          model,
          processingClass: await tokenizer(),
          trainDataset: rows,
          rewardFuncs: rewardOf,
          peftConfig: { r: RANK, loraAlpha: 2 * RANK },
          args,
        });
        return stepsOf(trainer, model);
      },
    };
  }),
);

export const WRITING: readonly Case[] = [...generation, unequal, ...beside, ...rollouts];
