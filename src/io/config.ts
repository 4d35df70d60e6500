/**
 * `config.json` of a Hugging Face model, read into the numbers that a decoder of the Llama family needs. Understands
 * what transformers 4 and 5 write. Checks each field by itself and against the others and refuses what nothing here
 * computes, by name; which architectures there are is the caller's to say.
 */
import { InputError, listed, quote } from './errors.ts';
import { Fields, isObject, type JsonObject, parseJsonObject } from './json.ts';

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
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  /** Biases on q, k, v and o, as the file says; an architecture may know better. */
  attentionBias: boolean;
  mlpBias: boolean;
  hiddenAct: 'silu';
  bosTokenId: number | undefined;
  /** May be empty. */
  eosTokenIds: number[];
  /** The type in which the weights were saved, as the file names it: `float32`, `bfloat16`. */
  torchDtype: string | undefined;
}

/** Reads the text of a `config.json`; `supported` lists the known `model_type`s. */
export function parseConfigText(text: string, file: string, supported: readonly string[]): ModelConfig {
  return parseConfig(parseJsonObject(text, file), file, supported);
}

/** Reads a parsed `config.json`; {@link InputError} names the file and the field. */
export function parseConfig(json: JsonObject, file: string, supported: readonly string[]): ModelConfig {
  const fields = new Fields(json, file);
  const modelType = fields.string('model_type');
  if (!supported.includes(modelType)) {
    throw fields.unsupported('model_type', `Supported are ${listed(supported, 32)}`);
  }
  refuseUnsupported(fields);

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
  if (headDim % 2 !== 0) throw fields.wrong('head_dim', 'an even number: rotary positions turn pairs');
  const vocabSize = fields.integer('vocab_size', undefined, 1, 2 ** 24);
  const config: ModelConfig = {
    modelType,
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size', undefined, 1, 2 ** 22),
    numHiddenLayers: fields.integer('num_hidden_layers', undefined, 1, 2 ** 12),
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    vocabSize,
    maxPositionEmbeddings: fields.integer('max_position_embeddings', 2048),
    rmsNormEps: fields.positive('rms_norm_eps', 1e-6),
    ropeTheta: ropeTheta(fields),
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', false),
    attentionBias: fields.boolean('attention_bias', false),
    mlpBias: fields.boolean('mlp_bias', false),
    hiddenAct: 'silu',
    bosTokenId: tokenIds(fields, 'bos_token_id', vocabSize)[0],
    eosTokenIds: tokenIds(fields, 'eos_token_id', vocabSize),
    torchDtype: fields.string('dtype', fields.string('torch_dtype', '')) || undefined,
  };
  refuseSlidingWindow(fields, config.maxPositionEmbeddings);
  return config;
}

/** Fields whose other values change the arithmetic. */
function refuseUnsupported(fields: Fields): void {
  if (fields.string('hidden_act', 'silu') !== 'silu')
    throw fields.unsupported('hidden_act', 'Only silu is computed');
  if (fields.integer('pretraining_tp', 1, 0) > 1)
    throw fields.unsupported('pretraining_tp', 'Only 1 is computed');
  if (fields.get('quantization_config') !== undefined) {
    throw fields.unsupported('quantization_config', 'Use the weights before quantisation');
  }
}

/** A window shorter than the context would need another mask. */
function refuseSlidingWindow(fields: Fields, maxPositionEmbeddings: number): void {
  const used = fields.get('sliding_window') !== undefined && fields.boolean('use_sliding_window', true);
  if (used && fields.integer('sliding_window') < maxPositionEmbeddings) {
    throw fields.unsupported('sliding_window', 'Only attention over the whole context is computed');
  }
}

/**
 * θ of the rotary positions: `rope_theta` beside the others (transformers 4) or inside `rope_parameters`
 * (transformers 5). Any scaling of it is refused by its name.
 */
function ropeTheta(fields: Fields): number {
  for (const name of ['rope_parameters', 'rope_scaling']) {
    const rope = fields.get(name);
    if (rope === undefined) continue;
    if (!isObject(rope)) throw fields.wrong(name, 'an object or null');
    const kind = rope.rope_type ?? rope.type ?? 'default';
    if (kind !== 'default') {
      throw new InputError(
        `${fields.file}, "${name}"`,
        `rotary positions of type ${quote(kind)} are not supported`,
        'Use a model with plain rotary positions',
      );
    }
    refusePartialRotary(new Fields(rope, `${fields.file}, "${name}"`));
  }
  refusePartialRotary(fields);
  const inside = fields.get('rope_parameters');
  const fallback = fields.positive('rope_theta', 10000);
  return isObject(inside)
    ? new Fields(inside, `${fields.file}, "rope_parameters"`).positive('rope_theta', fallback)
    : fallback;
}

function refusePartialRotary(fields: Fields): void {
  if (fields.positive('partial_rotary_factor', 1) !== 1) {
    throw fields.unsupported('partial_rotary_factor', 'Only 1 is computed');
  }
}

/** A token id, a list of them, or none. */
function tokenIds(fields: Fields, name: string, vocabSize: number): number[] {
  const value = fields.get(name) ?? [];
  const ids = Array.isArray(value) ? value : [value];
  const valid = ids.every(
    (id) => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 && id < vocabSize,
  );
  if (!valid) throw fields.wrong(name, `token ids below vocab_size (${vocabSize})`);
  return ids as number[];
}
