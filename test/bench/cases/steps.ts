/**
 * Whole steps of DPO, one curve for each quantity that their cost may depend on; pairs with a shared prompt and without;
 * and generation. The models have given shapes and random weights.
 */
import { packExamples, packPairs, packSequences, sequencesOf } from '../../../src/data/packing.ts';
import { parseConfigText } from '../../../src/io/config.ts';
import type { JsonObject } from '../../../src/io/json.ts';
import { ARCHITECTURES, DIALECTS } from '../../../src/model/architectures.ts';
import { CausalLM } from '../../../src/model/causal-lm.ts';
import type { Kept } from '../../../src/model/decoder.ts';
import { generate } from '../../../src/model/generation.ts';
import { weightShapes } from '../../../src/model/weight-shapes.ts';
import { attention } from '../../../src/ops/attention.ts';
import type { Tape } from '../../../src/tensor/tape.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import type { Case } from '../bench.ts';
import { tokens } from '../inputs.ts';
import { type BatchShape, dpoJob, randomPairs } from '../jobs.ts';
import { MODELS, plainLlama, randomModel } from '../models.ts';
import { bothWaysRun, randomTensor } from './run.ts';
import { packedRun, stepRun, stepWork } from './training.ts';

const configOf = (json: JsonObject) => parseConfigText(JSON.stringify(json), 'bench', DIALECTS);

/** Bytes of a model's weights. */
function weightBytes(json: JsonObject): number {
  const config = configOf(json);
  const shapes = [...weightShapes(ARCHITECTURES[config.modelType], config).values()];
  return shapes.reduce((sum, shape) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
}

interface StepOptions {
  group: string;
  model?: JsonObject;
  rank?: number;
  quick?: boolean;
  peers?: boolean;
  kept?: Kept;
  size: Record<string, number>;
}

const RANK = 8;

function stepCase(
  label: string,
  batch: BatchShape,
  { model = MODELS.embedded, rank = RANK, quick = false, peers = false, kept, group, size }: StepOptions,
): Case {
  const config = configOf(model);
  const pairs = randomPairs(batch, config.vocabSize);
  return {
    id: `step ${label}`,
    group,
    size,
    work: stepWork(config, pairs),
    quick,
    memory: 2 * weightBytes(model),
    make: (gpu) => stepRun(gpu, model, pairs, rank, kept),
    ...(peers && { job: () => dpoJob(model, batch, rank) }),
  };
}

/** Eight batches whose completions differ in length: apart from attention, the cost should be linear in the tokens. */
const LENGTHS = [16, 32, 48, 64, 80, 96, 112, 128].map((completion) => ({
  pairs: 4,
  prompt: 16,
  completion,
}));
/** The largest that a software adapter can measure in reasonable time with a model of a hundred million weights. */
const LEAST: BatchShape = { pairs: 1, prompt: 8, completion: 8 };
const SHORT: BatchShape = { pairs: 2, prompt: 8, completion: 16 };
const BATCH: BatchShape = { pairs: 4, prompt: 32, completion: 32 };
/** A small model of any width and vocabulary. */
const model = (vocabulary: number, width: number, layers = 4) =>
  plainLlama(vocabulary, width, 3 * width, layers, width / 32);
/** What the peers train. */
const RIVAL = model(2048, 128);
const TINY = model(256, 64, 2);

/** The same batches, attention alone, in all layers. */
function attentionCase(batch: BatchShape): Case {
  const { numHiddenLayers, ...heads } = headsOf(MODELS.embedded);
  const packed = packPairs(randomPairs(batch, MODELS.embedded.vocab_size));
  const length = packed.ids.length;
  return {
    id: `attention of ${length} tokens`,
    group: 'attention by tokens',
    size: { tokens: length },
    curve: 'tokens',
    work: { tokens: length },
    quick: false,
    async make(gpu) {
      const [q, k, v] = [heads.heads, heads.kvHeads, heads.kvHeads].map((count, i) =>
        randomTensor(gpu, i, [length, count * heads.headDim]),
      ) as [Tensor, Tensor, Tensor];
      const spans = Tensor.from(gpu, packed.spans, [length, 4], 'spans');
      const upstream = randomTensor(gpu, 4, q.shape);
      const layer = (tape: Tape) => attention(tape, q, k, v, spans, heads);
      const run = bothWaysRun(gpu, layer, [q, k, v], upstream, [spans]);
      const start = () => {
        for (let i = 0; i < numHiddenLayers; i++) run.start();
      };
      return { ...run, start };
    },
  };
}

function headsOf(json: JsonObject) {
  const { numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim } = configOf(json);
  return { numHiddenLayers, heads: numAttentionHeads, kvHeads: numKeyValueHeads, headDim };
}

const growth: readonly Case[] = [
  ...LENGTHS.map((batch) => {
    const count = packPairs(randomPairs(batch, MODELS.embedded.vocab_size)).ids.length;
    const size = { tokens: count };
    return { ...stepCase(`of ${count} tokens`, batch, { group: 'step by tokens', size }), curve: 'tokens' };
  }),
  ...LENGTHS.map(attentionCase),
  ...[1, 2, 4, 8].map((pairs) =>
    stepCase(`of ${pairs} pairs`, { ...BATCH, pairs }, { group: 'step by pairs', size: { pairs } }),
  ),
  ...[1000, 8192, 32_768, 151_936].map((vocabulary) =>
    stepCase(`with ${vocabulary} words`, SHORT, {
      group: 'step by vocabulary',
      model: model(vocabulary, 64),
      size: { vocabulary, width: 64 },
    }),
  ),
  ...[64, 128, 256, 512].map((width) =>
    stepCase(`of width ${width}`, SHORT, {
      group: 'step by width',
      model: model(1024, width),
      size: { width },
    }),
  ),
  ...[4, 8, 16, 32, 64].map((rank) =>
    stepCase(`with rank ${rank}`, BATCH, { group: 'step by rank', rank, size: { rank } }),
  ),
];

const models: readonly Case[] = [
  stepCase(
    'tiny model',
    { pairs: 1, prompt: 4, completion: 4 },
    {
      group: 'step',
      model: TINY,
      quick: true,
      peers: true,
      size: { pairs: 1 },
    },
  ),
  stepCase(
    'small decoder',
    { ...BATCH, pairs: 2 },
    { group: 'step', model: RIVAL, peers: true, size: { pairs: 2 } },
  ),
  stepCase('embedded model', BATCH, { group: 'step', peers: false, size: { pairs: 4 } }),
  ...(['Llama 15M', 'SmolLM2-135M', 'Qwen3-0.6B'] as const).flatMap((name) =>
    [LEAST, { pairs: 8, prompt: 256, completion: 256 }].map((batch) =>
      stepCase(`${name}, ${batch.pairs} × ${batch.prompt + batch.completion}`, batch, {
        group: 'step',
        model: MODELS[name],
        size: { pairs: batch.pairs, length: batch.prompt + batch.completion },
      }),
    ),
  ),
];

/** The same step by the activations that it keeps: memory against time. */
const activations: readonly Case[] = (
  [
    ['activations in float32', 'float32'],
    ['activations in float16', 'float16'],
    ['activations computed again', 'nothing'],
  ] as const
).map(([label, kept]) => ({
  ...stepCase(`with ${label}`, { ...BATCH, pairs: 8 }, { group: 'activations', kept, size: { pairs: 8 } }),
  curve: 'activations',
}));

/**
 * Prompts of half the length of a sequence, packed once for both completions, or for each: 190 tokens per pair or 254. This
 * saves the cost of the prompt's tokens in the layers, but not in the head, which computes completions alone.
 */
const prompts: readonly Case[] = (['shared', 'repeated'] as const).map((way) => {
  const json = model(1024, 256);
  const pairs = randomPairs({ pairs: 2, prompt: 64, completion: 64 }, 1024);
  const packed = way === 'shared' ? packPairs(pairs) : packSequences(pairs.flatMap(sequencesOf));
  return {
    id: `prompts ${way}`,
    group: 'prompts',
    curve: 'prompts',
    size: { tokens: packed.ids.length },
    work: { tokens: packed.ids.length },
    quick: false,
    make: (gpu) => packedRun(gpu, json, packed, RANK),
  };
});

const GROUP = 8;

/** Groups of completions whose prompt is packed once or once for each; prompts as long as a completion, and twice as long. */
const groups: readonly Case[] = [64, 128].flatMap((prompt) =>
  (['shared', 'repeated'] as const).map((way): Case => {
    const json = model(1024, 256);
    const completion = 64;
    const drawn = Array.from({ length: GROUP }, (_, i) => tokens(i + 1, completion, 1024));
    const example = { prompt: tokens(0, prompt, 1024), completions: drawn };
    const apart = drawn.map((each) => ({ prompt: example.prompt, completions: [each] }));
    const packed = packExamples(way === 'shared' ? [example] : apart);
    return {
      id: `group ${way}, prompt of ${prompt}`,
      group: 'groups',
      curve: `groups ${prompt}`,
      size: { prompt, tokens: packed.ids.length },
      work: { tokens: packed.ids.length },
      quick: false,
      make: (gpu) => packedRun(gpu, json, packed, RANK),
    };
  }),
);

const NEW_TOKENS = 32;
const generation: readonly Case[] = [1, 16].map((sequences) => ({
  id: `generation, ${sequences} at a time`,
  group: 'generation',
  size: { sequences },
  work: { tokens: sequences * NEW_TOKENS },
  quick: sequences === 1,
  async make(gpu) {
    const written = await CausalLM.load(gpu, randomModel(MODELS.embedded, 'random'));
    const ids = Array.from({ length: sequences }, (_, i) => tokens(i, 8, MODELS.embedded.vocab_size));
    const options = { maxNewTokens: NEW_TOKENS, eosTokenIds: [], seed: 1 };
    let last = 0;
    return {
      async start() {
        last = (await generate(written, ids, options)).length;
      },
      finish: async () => last,
      dispose: () => written.dispose(),
    };
  },
}));

export const STEPS: readonly Case[] = [
  ...models,
  ...activations,
  ...growth,
  ...prompts,
  ...groups,
  ...generation,
];
