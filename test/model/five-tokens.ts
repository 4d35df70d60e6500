/**
 * A Llama of five tokens, whose texts of up to three tokens can all be listed: on the device, and in float64 with the exact
 * log-probability of every text.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { toFloat32Bytes } from '../../src/io/float.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { describeModel } from '../../src/model/description.ts';
import { weightShapes } from '../../src/model/weight-shapes.ts';
import { random } from '../reference/compare.ts';
import { type DecoderModel, decoderLogits } from '../reference/decoder.ts';
import type { LoraAdapter } from '../reference/linear.ts';
import { logSoftmax } from '../reference/softmax.ts';
import { packSequences } from './tiny.ts';

const VOCABULARY = 5;
/** The most tokens of a text, including its end token. */
export const LONGEST = 3;
export const PROMPT: readonly number[] = [3, 1, 4];

const CONFIG = {
  model_type: 'llama',
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  vocab_size: VOCABULARY,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
  eos_token_id: 2,
};

export interface FiveTokens {
  model: CausalLM;
  /** The same without adapters, in float64. */
  exact: DecoderModel;
}

/** The model with random weights. `ends` are the end tokens of its `generation_config.json`; its `config.json` has other ones. */
export async function fiveTokens(gpu: Gpu, ends: readonly number[], seed = 6): Promise<FiveTokens> {
  const { normals } = random(seed);
  const texts = {
    'config.json': JSON.stringify(CONFIG),
    'generation_config.json': JSON.stringify({ eos_token_id: ends }),
  };
  const { config, architecture } = await describeModel(memoryFiles(texts));
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of weightShapes(architecture, config)) {
    const length = shape.reduce((a, b) => a * b, 1);
    const isNorm = shape.length === 1;
    weights.set(
      name,
      Float32Array.from(normals(length, isNorm ? 0.1 : 0.5), (x) => (isNorm ? 1 + x : x)),
    );
  }
  const stored = [...weightShapes(architecture, config)].map(
    ([name, shape]) => [name, { dtype: 'F32', shape, data: toFloat32Bytes(weights.get(name)!) }] as const,
  );
  const files = memoryFiles({ ...texts, 'model.safetensors': writeSafetensors(new Map(stored)) }, 'five');
  const { normEps: rmsNormEps, layers, ...sizes } = config;
  const ropeTheta = layers[0].rotary!.theta;
  return {
    model: await CausalLM.load(gpu, files),
    exact: { config: { ...sizes, rmsNormEps, ropeTheta }, weights },
  };
}

/** The float64 model with an adapter of the model on the device. */
export function withAdapter(exact: DecoderModel, { config, weights }: Adapter): DecoderModel {
  const scale = config.loraAlpha / config.r;
  const adapters = [...weights].map(([module, { a, b, r }]): [string, LoraAdapter] => [
    module,
    { a, b, rank: r, scale },
  ]);
  return { ...exact, adapters: new Map(adapters) };
}

/** A text as it is sampled, including its end token. */
export interface Text {
  tokens: number[];
  logprob: number;
}

/** All texts of up to `longest` tokens that continue {@link PROMPT}; their probabilities sum to 1. */
export function allTexts(exact: DecoderModel, ends: readonly number[], longest = LONGEST): Text[] {
  const texts: Text[] = [];
  let open: Text[] = [{ tokens: [], logprob: 0 }];
  while (open.length > 0) {
    const longer = continued(exact, open);
    const isWhole = ({ tokens }: Text) => tokens.length === longest || ends.includes(tokens.at(-1)!);
    texts.push(...longer.filter(isWhole));
    open = longer.filter((text) => !isWhole(text));
  }
  return texts;
}

/** Each text with each token appended. */
function continued(exact: DecoderModel, texts: readonly Text[]): Text[] {
  const prompts = texts.map(({ tokens }) => [...PROMPT, ...tokens]);
  const packed = packSequences(prompts.map((prompt) => ({ prompt, completion: [] })));
  const logits = decoderLogits(exact, packed);
  let row = -1;
  return texts.flatMap(({ tokens, logprob }, i) => {
    row += prompts[i].length;
    const next = logSoftmax(logits.subarray(row * VOCABULARY, (row + 1) * VOCABULARY), {
      rows: 1,
      cols: VOCABULARY,
    });
    return Array.from(next, (value, token) => ({ tokens: [...tokens, token], logprob: logprob + value }));
  });
}
