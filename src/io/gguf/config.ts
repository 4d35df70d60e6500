/**
 * The `config.json` that a GGUF file stands for: a row for each architecture of llama.cpp that says which of its keys are
 * which fields, and what its converter leaves unsaid. Refuses, by key, what changes the arithmetic in a way that nothing
 * here computes. Reads metadata and the table of tensors, no weight but the factors of rotary frequencies.
 */
import { own } from '../../base/lookup.ts';
import { InputError, listed } from '../errors.ts';
import { toFloat32 } from '../float.ts';
import type { Json, JsonObject } from '../json.ts';
import { GgufMetadata, shortest } from './metadata.ts';
import type { Gguf } from './reader.ts';

/** An architecture of llama.cpp in the words of Hugging Face. */
interface ConfigRow {
  modelType: string;
  /** Of transformers, for others that read the file. */
  className: string;
  /** Keys, without the architecture in front, by fields. */
  keys: Readonly<Record<string, string>>;
  /** Keys that may be missing or 0, in the same way; other architectures must not have them. */
  factors?: Readonly<Record<string, string>>;
  /** Fields that the architecture settles. */
  fixed?: JsonObject;
  /** Which linear layers have biases is the architecture's say, not the configuration's. */
  biasesKnown?: boolean;
  /** Frequencies and windows, where positions turn. */
  attention?(from: Reading): Promise<JsonObject>;
}

interface Reading {
  metadata: GgufMetadata;
  tensors: Gguf['tensors'];
  /** In front of the architecture's keys: `llama.`. */
  prefix: string;
  layers: number;
  headDim: number;
}

const LLAMA: ConfigRow = {
  modelType: 'llama',
  className: 'LlamaForCausalLM',
  keys: {
    hidden_size: 'embedding_length',
    intermediate_size: 'feed_forward_length',
    max_position_embeddings: 'context_length',
    num_attention_heads: 'attention.head_count',
    num_hidden_layers: 'block_count',
    rms_norm_eps: 'attention.layer_norm_rms_epsilon',
  },
  fixed: { hidden_act: 'silu' },
  attention: rotary,
};

/** By `general.architecture`. */
const ROWS: Readonly<Record<string, ConfigRow>> = {
  llama: LLAMA,
  qwen2: { ...LLAMA, modelType: 'qwen2', className: 'Qwen2ForCausalLM', biasesKnown: true },
  qwen3: { ...LLAMA, modelType: 'qwen3', className: 'Qwen3ForCausalLM' },
  gemma3: {
    ...LLAMA,
    modelType: 'gemma3_text',
    className: 'Gemma3ForCausalLM',
    fixed: { hidden_activation: 'gelu_pytorch_tanh' },
    attention: gemmaAttention,
  },
  olmo2: { ...LLAMA, modelType: 'olmo2', className: 'Olmo2ForCausalLM', attention: olmoAttention },
  phi3: {
    ...LLAMA,
    modelType: 'phi3',
    className: 'Phi3ForCausalLM',
    biasesKnown: true,
    attention: phiAttention,
  },
  smollm3: { ...LLAMA, modelType: 'smollm3', className: 'SmolLM3ForCausalLM' },
  granite: {
    ...LLAMA,
    modelType: 'granite',
    className: 'GraniteForCausalLM',
    factors: {
      attention_multiplier: 'attention.scale',
      embedding_multiplier: 'embedding_scale',
      residual_multiplier: 'residual_scale',
      logits_scaling: 'logit_scale',
    },
    attention: graniteAttention,
  },
  gpt2: {
    modelType: 'gpt2',
    className: 'GPT2LMHeadModel',
    keys: {
      n_embd: 'embedding_length',
      n_inner: 'feed_forward_length',
      n_positions: 'context_length',
      n_head: 'attention.head_count',
      n_layer: 'block_count',
      layer_norm_epsilon: 'attention.layer_norm_epsilon',
    },
    fixed: { activation_function: 'gelu_new' },
    biasesKnown: true,
  },
};

/** Values of keys that nothing here computes, and the one that changes nothing. */
const MUST_BE: Readonly<Record<string, number | boolean>> = {
  'attention.causal': true,
  'attention.clamp_kqv': 0,
  'attention.max_alibi_bias': 0,
  'attention.scale': 0,
  attn_logit_softcapping: 0,
  embedding_scale: 0,
  expert_count: 0,
  final_logit_softcapping: 0,
  logit_scale: 0,
  residual_scale: 0,
};

const MOST_LAYERS = 2 ** 12;

/** Ends of a text, the first of them the one that a tokenizer calls so. */
const ENDS = ['eos', 'eot', 'eom'] as const;

/** The configuration as transformers writes it. Throws {@link InputError}. */
export async function ggufConfig({ metadata: values, tensors }: Gguf, file: string): Promise<JsonObject> {
  const metadata = new GgufMetadata(values, file);
  const name = metadata.string('general.architecture');
  const row = name === undefined ? undefined : own(ROWS, name);
  if (!row) {
    const known = `Supported are ${listed(Object.keys(ROWS), 32)}`;
    throw metadata.unsupported('general.architecture', known);
  }
  const prefix = `${name}.`;
  refuseUnsupported(metadata, prefix, Object.values(row.factors ?? {}));
  const need = (key: string) => {
    const value = metadata.number(`${prefix}${key}`);
    if (value === undefined) throw metadata.wrong(`${prefix}${key}`, 'a number');
    return value;
  };
  const fields = Object.entries(row.keys).map(([field, key]) => [field, need(key)] as const);
  const heads = need('attention.head_count');
  const headDim = metadata.integer(`${prefix}attention.key_length`) ?? need('embedding_length') / heads;
  const layers = metadata.integer(`${prefix}block_count`) ?? 0;
  if (layers < 1 || layers > MOST_LAYERS) throw metadata.wrong(`${prefix}block_count`, `1 to ${MOST_LAYERS}`);
  const reading: Reading = { metadata, tensors, prefix, layers, headDim };
  return {
    architectures: [row.className],
    model_type: row.modelType,
    ...Object.fromEntries(fields),
    vocab_size: vocabulary(tensors, file),
    tie_word_embeddings: !tensors.has('output.weight'),
    ...(row.biasesKnown ? {} : biases(tensors)),
    ...row.fixed,
    ...(await row.attention?.(reading)),
    ...factorsOf(reading, row.factors ?? {}),
    ...tokenIds(metadata),
    torch_dtype: dtypeOf(tensors),
  };
}

function refuseUnsupported(metadata: GgufMetadata, prefix: string, known: readonly string[]): void {
  for (const [name, usual] of Object.entries(MUST_BE)) {
    if (known.includes(name)) continue;
    const key = `${prefix}${name}`;
    const value = typeof usual === 'boolean' ? metadata.boolean(key) : metadata.number(key);
    if (value !== undefined && value !== usual) throw metadata.unsupported(key, 'Use a model without it');
  }
}

function factorsOf({ metadata, prefix }: Reading, names: Readonly<Record<string, string>>): JsonObject {
  const fields = Object.entries(names).map(
    ([field, key]) => [field, metadata.number(`${prefix}${key}`)] as const,
  );
  return Object.fromEntries(fields.filter((entry): entry is [string, number] => Boolean(entry[1])));
}

/** Rows of the embedding: what the metadata say may count ids that have none. */
function vocabulary(tensors: Gguf['tensors'], file: string): number {
  const embedding = tensors.get('token_embd.weight');
  if (embedding?.shape.length === 2) return embedding.shape[0] as number;
  throw new InputError(
    `${file}, tensor "token_embd.weight"`,
    'is missing, or no matrix',
    'Use a whole model',
  );
}

function biases(tensors: Gguf['tensors']): JsonObject {
  return {
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    mlp_bias: tensors.has('blk.0.ffn_down.bias'),
  };
}

/** Heads, frequencies and, where the file has them, windows. */
async function rotary(
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
      (metadata.integer(`${prefix}attention.head_count`) as number),
    rope_theta: metadata.number(`${prefix}rope.freq_base`) ?? 10000,
    ...(scaling && { rope_scaling: scaling }),
    ...windows(reading, 0),
  };
}

/** llama.cpp knows the 27B by its layers: its queries are scaled by the width of a head of the residual stream. */
const GEMMA3_27B = 62;

async function gemmaAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, prefix, layers, headDim } = reading;
  const width = metadata.integer(`${prefix}embedding_length`) as number;
  const heads = metadata.integer(`${prefix}attention.head_count`) as number;
  return {
    ...(await rotary(reading)),
    query_pre_attn_scalar: layers === GEMMA3_27B ? width / heads : headDim,
    rope_local_base_freq: metadata.number(`${prefix}rope.freq_base_swa`) ?? 10000,
    sliding_window: null,
    layer_types: Array.from({ length: layers }, () => 'full_attention'),
    ...windows(reading, 6),
  };
}

/** Scores are scaled as those of Llama where the file does not say how; Granite's hybrids have no positions. */
async function graniteAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, prefix, headDim } = reading;
  const turns = `${prefix}rope.scaling.finetuned`;
  if (metadata.boolean(turns) === false)
    throw metadata.unsupported(turns, 'Use a model with rotary positions');
  return { ...(await rotary(reading)), attention_multiplier: 1 / Math.sqrt(headDim) };
}

/** llama.cpp reads OLMo 3 as OLMo 2 with windows, whose positions turn in another way. */
async function olmoAttention(reading: Reading): Promise<JsonObject> {
  const { metadata, prefix } = reading;
  const window = `${prefix}attention.sliding_window`;
  if (metadata.integer(window))
    throw metadata.unsupported(window, 'Use a model of OLMo 2: OLMo 3 is not supported');
  return rotary(reading);
}

/** Partial rotary positions, and factors of their frequencies for short and for long contexts. */
async function phiAttention(reading: Reading): Promise<JsonObject> {
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
  const context = metadata.integer(`${prefix}context_length`) as number;
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

/** Windows as transformers words them, layer by layer; all but every `period`-th layer slide where nothing is said. */
function windows({ metadata, prefix, layers }: Reading, period: number): JsonObject {
  const window = metadata.integer(`${prefix}attention.sliding_window`) ?? 0;
  if (window === 0) return {};
  const key = `${prefix}attention.sliding_window_pattern`;
  const listed = metadata.values.get(key)?.type === 'array' ? metadata.numbers(key) : undefined;
  if (listed && listed.length !== layers) throw metadata.wrong(key, `${layers}, one a layer`);
  const every = listed ? 0 : (metadata.integer(key) ?? period);
  const slides = (i: number) => (listed ? Boolean(listed[i]) : every === 0 || (i + 1) % every !== 0);
  return {
    // Llama's own class has no windows.
    ...(prefix === 'llama.' && { model_type: 'mistral', architectures: ['MistralForCausalLM'] }),
    use_sliding_window: true,
    sliding_window: window,
    layer_types: Array.from({ length: layers }, (_, i) =>
      slides(i) ? 'sliding_attention' : 'full_attention',
    ),
  };
}

/**
 * A factor for all frequencies, or Llama 3's one for each, from which its parameters cannot be told. Hugging Face has a
 * kind of scaling that names every factor, for short and for long contexts: here they are the same.
 */
async function ropeScaling({ metadata, tensors, prefix, headDim }: Reading): Promise<JsonObject | undefined> {
  const key = `${prefix}rope.scaling.type`;
  const type = metadata.string(key) ?? 'linear';
  if (type !== 'linear' && type !== 'none') throw metadata.unsupported(key, 'Supported are none and linear');
  const given =
    metadata.number(`${prefix}rope.scaling.factor`) ?? metadata.number(`${prefix}rope.scale_linear`);
  const factor = type === 'none' ? 1 : given || 1;
  const frequencies = tensors.get('rope_freqs.weight');
  if (!frequencies) return factor === 1 ? undefined : { rope_type: 'linear', factor };
  if (frequencies.shape.join() !== String(headDim / 2)) {
    const what = `is (${frequencies.shape.join(', ')}), the heads turn ${headDim / 2} pairs`;
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

function tokenIds(metadata: GgufMetadata): JsonObject {
  const id = (name: string) => metadata.integer(`tokenizer.ggml.${name}_token_id`);
  const ends = [...new Set(ENDS.map(id).filter((end) => end !== undefined))];
  const fields: Record<string, Json | undefined> = {
    bos_token_id: id('bos'),
    eos_token_id: ends.length > 1 ? ends : ends[0],
    pad_token_id: id('padding'),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as JsonObject;
}

/** What the numbers come to once they are unpacked: halves hold all that blocks do. */
function dtypeOf(tensors: Gguf['tensors']): string {
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length > 1).map(({ dtype }) => dtype);
  if (matrices.every((dtype) => dtype === 'F32')) return 'float32';
  return matrices.every((dtype) => dtype === 'F32' || dtype === 'BF16') ? 'bfloat16' : 'float16';
}
