/**
 * The attention fields of a `config.json` from a GGUF file's metadata: heads, rotary positions and their factors, windows,
 * and the scale of scores. One function per architecture that has more fields than Llama.
 */
import { InputError } from '../errors.ts';
import { toFloat32 } from '../float.ts';
import type { JsonObject } from '../json.ts';
import { type GgufMetadata, shortest } from './metadata.ts';
import type { Gguf } from './reader.ts';

/** The parts of a file from which the fields of attention are read. */
export interface Reading {
  metadata: GgufMetadata;
  tensors: Gguf['tensors'];
  /** Prefix of the architecture's keys: `llama.`. */
  prefix: string;
  layers: number;
  headDim: number;
}

/** Heads, frequencies and, if the file has them, windows. */
export async function rotary(
  reading: Reading,
  likeHeads = ['attention.value_length', 'rope.dimension_count'],
): Promise<JsonObject> {
  const { metadata, prefix, headDim } = reading;
  for (const key of likeHeads) {
    const length = metadata.integer(`${prefix}${key}`) ?? headDim;
    if (length !== headDim) throw metadata.wrong(`${prefix}${key}`, `${headDim}, the length of a key`);
  }
  const scaling = await ropeScaling(reading);
  return {
    head_dim: headDim,
    num_key_value_heads:
      metadata.integer(`${prefix}attention.head_count_kv`) ??
      metadata.integer(`${prefix}attention.head_count`)!,
    rope_theta: metadata.number(`${prefix}rope.freq_base`) ?? 10000,
    ...(scaling && { rope_scaling: scaling }),
    ...windows(reading, 0),
  };
}

/** llama.cpp recognizes the 27B model by its number of layers: it scales queries by hidden size / heads. */
const GEMMA2_27B = 46;
const GEMMA3_27B = 62;

function queryScalar({ metadata, prefix, layers, headDim }: Reading, large: number): number {
  const width = metadata.integer(`${prefix}embedding_length`)!;
  const heads = metadata.integer(`${prefix}attention.head_count`)!;
  return layers === large ? width / heads : headDim;
}

/** By default, every other layer has a window of 4096. */
export async function gemma2Attention(reading: Reading): Promise<JsonObject> {
  return {
    ...(await rotary(reading)),
    query_pre_attn_scalar: queryScalar(reading, GEMMA2_27B),
    ...windows(reading, 2),
  };
}

export async function gemmaAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, prefix, layers } = reading;
  return {
    ...(await rotary(reading)),
    query_pre_attn_scalar: queryScalar(reading, GEMMA3_27B),
    rope_local_base_freq: metadata.number(`${prefix}rope.freq_base_swa`) ?? 10000,
    sliding_window: null,
    layer_types: Array.from({ length: layers }, () => 'full_attention'),
    ...windows(reading, 6),
  };
}

/** By default, scores are scaled as in Llama; Granite's hybrid models have no positions. */
export async function graniteAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, prefix, headDim } = reading;
  const turns = `${prefix}rope.scaling.finetuned`;
  if (metadata.boolean(turns) === false)
    throw metadata.unsupported(turns, 'Use a model with rotary positions');
  return { ...(await rotary(reading)), attention_multiplier: 1 / Math.sqrt(headDim) };
}

/** llama.cpp stores OLMo 3 as OLMo 2 with windows, whose rotary positions differ. */
export async function olmoAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, prefix } = reading;
  const window = `${prefix}attention.sliding_window`;
  if (metadata.integer(window))
    throw metadata.unsupported(window, 'Use a model of OLMo 2: OLMo 3 is not supported');
  return rotary(reading);
}

/** Partial rotary positions, and frequency factors for short and for long contexts. */
export async function phiAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, tensors, prefix, headDim } = reading;
  const turned = metadata.integer(`${prefix}rope.dimension_count`) ?? headDim;
  const [short, long] = await Promise.all(
    ['rope_factors_short.weight', 'rope_factors_long.weight'].map(async (name) => {
      const tensor = tensors.get(name);
      return tensor && Array.from(toFloat32({ ...tensor, data: await tensor.read() }), shortest);
    }),
  );
  const fields = {
    ...(await rotary(reading, ['attention.value_length'])),
    ...(turned !== headDim && { partial_rotary_factor: turned / headDim }),
  };
  if (!short || !long) return fields;
  const context = metadata.integer(`${prefix}context_length`)!;
  const rope_scaling = {
    rope_type: 'longrope',
    short_factor: short,
    long_factor: long,
    attention_factor: metadata.number(`${prefix}rope.scaling.attn_factor`) ?? 1,
    original_max_position_embeddings:
      metadata.integer(`${prefix}rope.scaling.original_context_length`) ?? context,
  };
  return { ...fields, rope_scaling };
}

/** Windows in transformers' format, layer by layer; by default, all but every `period`-th layer have a window. */
function windows({ metadata, prefix, layers }: Reading, period: number): JsonObject {
  const window = metadata.integer(`${prefix}attention.sliding_window`) ?? 0;
  if (window === 0) return {};
  const key = `${prefix}attention.sliding_window_pattern`;
  const listed = metadata.values.get(key)?.type === 'array' ? metadata.numbers(key) : undefined;
  if (listed && listed.length !== layers) throw metadata.wrong(key, `${layers} values, one per layer`);
  const every = listed ? 0 : (metadata.integer(key) ?? period);
  const slides = (i: number) => (listed ? Boolean(listed[i]) : every === 0 || (i + 1) % every !== 0);
  return {
    // Llama's class in transformers does not support windows.
    ...(prefix === 'llama.' && { model_type: 'mistral', architectures: ['MistralForCausalLM'] }),
    use_sliding_window: true,
    sliding_window: window,
    layer_types: Array.from({ length: layers }, (_, i) =>
      slides(i) ? 'sliding_attention' : 'full_attention',
    ),
  };
}

/**
 * A factor for all frequencies, or Llama 3's factor for each one, from which its parameters cannot be recovered. Hugging
 * Face has a scaling type that lists every factor, for short and for long contexts; here both lists are equal.
 */
async function ropeScaling({ metadata, tensors, prefix, headDim }: Reading): Promise<JsonObject | undefined> {
  const key = `${prefix}rope.scaling.type`;
  const type = metadata.string(key) ?? 'linear';
  if (type !== 'linear' && type !== 'none')
    throw metadata.unsupported(key, 'Supported scaling types: none, linear');
  const given =
    metadata.number(`${prefix}rope.scaling.factor`) ?? metadata.number(`${prefix}rope.scale_linear`);
  const factor = type === 'none' ? 1 : given || 1;
  const frequencies = tensors.get('rope_freqs.weight');
  if (!frequencies) return factor === 1 ? undefined : { rope_type: 'linear', factor };
  if (frequencies.shape.join() !== String(headDim / 2)) {
    const what = `has shape (${frequencies.shape.join(', ')}), but heads have ${headDim / 2} rotary pairs`;
    throw new InputError(frequencies.where, what, 'Convert the model to GGUF again');
  }
  const factors = toFloat32({ ...frequencies, data: await frequencies.read() });
  const all = Array.from(factors, (each) => each * factor);
  return {
    rope_type: 'longrope',
    short_factor: all,
    long_factor: all,
    attention_factor: 1,
    original_max_position_embeddings: metadata.integer(`${prefix}context_length`) ?? 2048,
  };
}
