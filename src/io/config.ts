/**
 * Reads `config.json` of a Hugging Face model into the numbers that a decoder needs. Supports files of transformers 4 and
 * 5. Checks each field and their consistency, and rejects unsupported features by name. The caller provides the supported
 * architectures and their dialects.
 */
import { counted } from '../base/counted.ts';
import { own } from '../base/lookup.ts';
import { listed } from './errors.ts';
import { Fields, type JsonObject, parsePythonObject } from './json.ts';
import { type LayerAttention, layerAttentions } from './layer-attention.ts';

/** How the config files of an architecture differ from Llama's. */
export interface ConfigDialect {
  /** Names of fields, by Llama's names. */
  names?: Readonly<Record<string, string>>;
  /** Values of missing fields, under the file's names. */
  defaults?: JsonObject;
  /** Default of `intermediate_size`, as a multiple of the hidden size. */
  widening?: number;
  /** Fields of {@link MUST_BE} that the architecture reads; for others they must have their usual value. */
  reads?: readonly string[];
  /** False if positions are embedded: then the head size may be odd. */
  rotary?: boolean;
}

/** silu(z) = z · σ(z), or GELU with the tanh approximation. */
export type Activation = 'silu' | 'gelu';

/** Activation functions by transformers' names; GELU's tanh form has several names. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu',
  gelu_new: 'gelu',
  gelu_fast: 'gelu',
};

export interface ModelConfig {
  modelType: string;
  /** d, the width of the residual stream. */
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  /** H, query heads. */
  numAttentionHeads: number;
  /** Key and value heads; divides H. */
  numKeyValueHeads: number;
  headDim: number;
  /** V, rows of the embedding. */
  vocabSize: number;
  /** The original context length, if longer contexts scale the rotary frequencies differently. */
  maxPositionEmbeddings: number;
  /** ε, added to the variance in every norm. */
  normEps: number;
  /** Factor of the attention scores. */
  queryScale: number;
  /** Factor of the token embeddings. */
  embeddingMultiplier?: number;
  /** Factor of a block's output before it is added to the residual stream. */
  residualMultiplier?: number;
  /** Divisor of the logits. */
  logitsScaling?: number;
  /** Attention scores are cap · tanh(score / cap). */
  attentionSoftCap?: number;
  /** Logits are cap · tanh(logit / cap). */
  logitSoftCap?: number;
  /** Window and positions of each layer. */
  layers: readonly LayerAttention[];
  tieWordEmbeddings: boolean;
  /** Biases on q, k, v and o, according to the file; the architecture may override it. */
  attentionBias: boolean;
  mlpBias: boolean;
  activation: Activation;
  bosTokenId: number | undefined;
  /** Tokens that end a text; may be empty. */
  eosTokenIds: number[];
  /** The type in which the weights were saved, as in the file: `float32`, `bfloat16`. */
  torchDtype: string | undefined;
  /** Notices about the file for the user, one line each; absent if there are none. */
  notices?: readonly string[];
}

/** Parses the text of a `config.json`; `dialects` has the supported `model_type`s. */
export function parseConfigText(
  text: string,
  file: string,
  dialects: Readonly<Record<string, ConfigDialect>>,
): ModelConfig {
  return parseConfig(parsePythonObject(text, file), file, dialects);
}

/**
 * The end tokens in the text of a `generation_config.json`; none if it has no such field, whatever `config.json` has
 * (`isInConfig`), as in transformers. Its other fields, such as defaults for sampling, are not read.
 */
export function parseGenerationEnds(
  text: string,
  file: string,
  vocabSize: number,
  isInConfig: boolean,
): TokenIds {
  const fields = new Fields(parsePythonObject(text, file), file);
  if (fields.get('eos_token_id') !== undefined) return tokenIds(fields, 'eos_token_id', vocabSize);
  const notice = `${file} has no "eos_token_id", so no token ends a text: add it, or remove the file.`;
  return { ids: [], notices: isInConfig ? [notice] : [] };
}

/** Reads a parsed `config.json`. Throws `InputError` with the file and the field. */
export function parseConfig(
  json: JsonObject,
  file: string,
  dialects: Readonly<Record<string, ConfigDialect>>,
): ModelConfig {
  const given = new Fields(json, file);
  const modelType = given.string('model_type');
  const dialect = own(dialects, modelType);
  if (!dialect)
    throw given.unsupported('model_type', `Supported model types: ${listed(Object.keys(dialects), 32)}`);
  const fields = new Fields({ ...dialect.defaults, ...json }, file, dialect.names);
  refuseUnsupported(fields, dialect.reads ?? []);

  const hiddenSize = fields.integer('hidden_size', undefined, 1, 2 ** 20);
  const numAttentionHeads = fields.integer('num_attention_heads', undefined, 1, 2 ** 16);
  const numKeyValueHeads = fields.integer('num_key_value_heads', numAttentionHeads, 1, 2 ** 16);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw fields.wrong('num_key_value_heads', `a divisor of num_attention_heads (${numAttentionHeads})`);
  }
  if (fields.get('head_dim') === undefined && hiddenSize % numAttentionHeads !== 0) {
    throw fields.wrong('num_attention_heads', `a divisor of hidden_size (${hiddenSize}), or a head_dim`);
  }
  const headDim = fields.integer('head_dim', hiddenSize / numAttentionHeads, 1, 2 ** 16);
  const { rotary = true } = dialect;
  if (rotary && headDim % 2 !== 0)
    throw fields.wrong('head_dim', 'an even number, because rotary positions rotate pairs');
  const vocabSize = fields.integer('vocab_size', undefined, 1, 2 ** 24);
  const numHiddenLayers = fields.integer('num_hidden_layers', undefined, 1, 2 ** 12);
  const maxPositionEmbeddings = fields.integer('max_position_embeddings', 2048);
  const layers = layerAttentions(fields, {
    layers: numHiddenLayers,
    context: maxPositionEmbeddings,
    headDim,
    partial: dialect.reads?.includes('partial_rotary_factor') ?? false,
  });
  const contexts = layers.map(({ rotary }) => rotary?.long?.originalContext ?? maxPositionEmbeddings);
  const [bos, eos] = ['bos_token_id', 'eos_token_id'].map((name) => tokenIds(fields, name, vocabSize)) as [
    TokenIds,
    TokenIds,
  ];
  const notices = [...bos.notices, ...eos.notices];
  const widened = dialect.widening === undefined ? undefined : dialect.widening * hiddenSize;
  return {
    modelType,
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size', widened, 1, 2 ** 22),
    numHiddenLayers,
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    vocabSize,
    maxPositionEmbeddings: Math.min(...contexts),
    normEps: fields.positive('rms_norm_eps', 1e-6),
    queryScale: queryScale(fields, headDim),
    ...multiplier(fields, 'embedding_multiplier', 'embeddingMultiplier'),
    ...multiplier(fields, 'residual_multiplier', 'residualMultiplier'),
    ...multiplier(fields, 'logits_scaling', 'logitsScaling'),
    ...softCap(fields, 'attn_logit_softcapping', 'attentionSoftCap'),
    ...softCap(fields, 'final_logit_softcapping', 'logitSoftCap'),
    layers,
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', false),
    attentionBias: fields.boolean('attention_bias', false),
    mlpBias: fields.boolean('mlp_bias', false),
    activation: activation(fields),
    bosTokenId: bos.ids[0],
    eosTokenIds: eos.ids,
    torchDtype: fields.string('dtype', fields.string('torch_dtype', '')) || undefined,
    ...(notices.length > 0 && { notices }),
  };
}

/** Fields that only some architectures use, or that are not supported, with their usual values. */
const MUST_BE: Readonly<Record<string, unknown>> = {
  pretraining_tp: 1,
  quantization_config: undefined,
  attention_multiplier: undefined,
  embedding_multiplier: 1,
  residual_multiplier: 1,
  logits_scaling: 1,
  no_rope_layers: undefined,
  no_rope_layer_interval: undefined,
  attn_logit_softcapping: undefined,
  final_logit_softcapping: undefined,
  use_bidirectional_attention: false,
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  add_cross_attention: false,
};

/** Rejects fields with unsupported values that would change the computation. */
function refuseUnsupported(fields: Fields, known: readonly string[]): void {
  for (const [name, usual] of Object.entries(MUST_BE)) {
    if (known.includes(name)) continue;
    const value = fields.get(name);
    if (value !== undefined && value !== usual) {
      throw fields.unsupported(name, `Use a model without it${usual === undefined ? '' : `: ${usual}`}`);
    }
  }
}

/** Factor of the attention scores: given by the file, or 1 / √n with n from the file or the head size. */
function queryScale(fields: Fields, headDim: number): number {
  return fields.get('attention_multiplier') === undefined
    ? 1 / Math.sqrt(fields.positive('query_pre_attn_scalar', headDim))
    : fields.positive('attention_multiplier');
}

/** A factor under its name here, if the file has one other than 1. */
function multiplier<Name extends string>(
  fields: Fields,
  field: string,
  name: Name,
): { [key in Name]?: number } {
  const factor = fields.positive(field, 1);
  return factor === 1 ? {} : ({ [name]: factor } as { [key in Name]?: number });
}

/** A cap under its name here, if the file has one. */
function softCap<Name extends string>(fields: Fields, field: string, name: Name): { [key in Name]?: number } {
  if (fields.get(field) === undefined) return {};
  return { [name]: fields.positive(field) } as { [key in Name]?: number };
}

function activation(fields: Fields): Activation {
  const name = fields.string('hidden_act', 'silu');
  const known = own(ACTIVATIONS, name);
  if (known) return known;
  throw fields.unsupported('hidden_act', `Supported activations: ${Object.keys(ACTIVATIONS).join(', ')}`);
}

/** Token ids of a field, and a notice about those that are dropped. */
export interface TokenIds {
  ids: number[];
  notices: string[];
}

/**
 * A token id, a list of them, or none. Ids beyond the vocabulary are dropped: transformers loads such models, which are
 * often small ones with the settings of a large one.
 */
function tokenIds(fields: Fields, name: string, vocabSize: number): TokenIds {
  const value = fields.get(name) ?? [];
  const ids = (Array.isArray(value) ? value : [value]) as number[];
  const valid = ids.every((id) => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0);
  if (!valid) throw fields.wrong(name, 'token ids');
  const notices = ids
    .filter((id) => id >= vocabSize)
    .map(
      (id) =>
        `${fields.place(name)}: ${id} is not in the vocabulary of ${counted(vocabSize, 'token')}; it is ignored, so no text begins or ends with it.`,
    );
  return { ids: ids.filter((id) => id < vocabSize), notices };
}
