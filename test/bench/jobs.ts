/**
 * The largest of the jobs that peers share: a step of DPO on a small decoder with LoRA, as plain data. Every contestant
 * trains the same weights on the same tokens, in its own way.
 */
import type { ModelConfig } from '../../src/io/config.ts';
import { toFloat32 } from '../../src/io/float.ts';
import type { JsonObject } from '../../src/io/json.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { openWeights } from '../../src/io/weights.ts';
import { describeModel } from '../../src/model/description.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { linearsOf } from '../../src/model/weight-shapes.ts';
import { numbers, tokens } from './inputs.ts';
import { randomModel } from './models.ts';

export interface DpoJob {
  kind: 'dpoStep';
  /** Of a Llama with as many key heads as query heads. */
  config: ModelConfig;
  /** Frozen, by name; (out, in) row by row. */
  weights: Map<string, { shape: number[]; values: Float32Array }>;
  /** LoRA on every linear layer. */
  adapter: Adapter;
  pairs: Pair[];
  settings: typeof STEP;
}

/** Greedy writing, without an adapter and without end tokens: so many new tokens for each of equally long prompts. */
export interface WritingJob {
  kind: 'writing';
  config: ModelConfig;
  weights: DpoJob['weights'];
  prompts: number[][];
  newTokens: number;
}

export interface Pair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

export interface BatchShape {
  pairs: number;
  /** Tokens of each prompt and of each completion: the same for all, so that peers need no padding. */
  prompt: number;
  completion: number;
}

/** Settings that all contestants train with. Losses are compared after `checkedAfter` steps. */
export const STEP = {
  beta: 0.1,
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  checkedAfter: 3,
};

export function randomPairs({ pairs, prompt, completion }: BatchShape, vocabulary: number): Pair[] {
  return Array.from({ length: pairs }, (_, i) => ({
    prompt: tokens(3 * i, prompt, vocabulary),
    chosen: tokens(3 * i + 1, completion, vocabulary),
    rejected: tokens(3 * i + 2, completion, vocabulary),
  }));
}

/**
 * Of rank `rank` on every linear layer. B is not zero as in a new adapter, since its loss of log 2 would be right even with
 * wrong weights.
 */
export async function randomAdapter(json: JsonObject, rank: number): Promise<Adapter> {
  const { architecture, config } = await describeModel(randomModel(json, 'random'));
  const linears = linearsOf(architecture, config);
  const targetModules = [...new Set([...linears.keys()].map((name) => name.replace(/^.*\./, '')))];
  const settings = { r: rank, loraAlpha: 2 * rank, targetModules, useRslora: false };
  const adapter = freshAdapter(settings, linears, 'random', 1);
  let seed = 1;
  for (const weights of adapter.weights.values())
    weights.b = numbers(seed++, weights.b.length, 0.1 / Math.sqrt(rank));
  return adapter;
}

/** The configuration of a random model and its weights by name. */
async function plainModel(json: JsonObject): Promise<Pick<DpoJob, 'config' | 'weights'>> {
  const files = randomModel(json, 'random');
  const { config } = await describeModel(files);
  const weights: DpoJob['weights'] = new Map();
  for (const [name, source] of await openWeights(files)) {
    const data = await source.read();
    weights.set(name, { shape: source.shape, values: toFloat32({ ...source, data }) });
  }
  return { config, weights };
}

export async function writingJob(
  json: JsonObject,
  prompts: number[][],
  newTokens: number,
): Promise<WritingJob> {
  return { kind: 'writing', ...(await plainModel(json)), prompts, newTokens };
}

export async function dpoJob(json: JsonObject, batch: BatchShape, rank: number): Promise<DpoJob> {
  const { config, weights } = await plainModel(json);
  return {
    kind: 'dpoStep',
    config,
    weights,
    adapter: await randomAdapter(json, rank),
    pairs: randomPairs(batch, config.vocabSize),
    settings: STEP,
  };
}

/** Module of a linear layer of a Llama. */
export function moduleOf(layer: number, linear: 'q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down'): string {
  const block = linear.length === 1 ? 'self_attn' : 'mlp';
  return `model.layers.${layer}.${block}.${linear}_proj`;
}
