/**
 * Converts a GGUF file's metadata to a `config.json`: one row per architecture of llama.cpp maps its keys to fields and
 * adds what its converter omits. Rejects, by key, settings that would change the computation and are not supported. Reads
 * metadata and the table of tensors, and no weights except the factors of rotary frequencies.
 */
import { own } from '../../base/lookup.ts';
import { InputError, listed } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import {
  gemma2Attention,
  gemmaAttention,
  graniteAttention,
  olmoAttention,
  phiAttention,
  type Reading,
  rotary,
} from './attention.ts';
import { GgufMetadata } from './metadata.ts';
import type { Gguf } from './reader.ts';

/** An architecture of llama.cpp in the terms of Hugging Face. */
interface ConfigRow {
  modelType: string;
  /** The class in transformers, for other tools that read the file. */
  className: string;
  /** Keys of fields, without the architecture's prefix. */
  keys: Readonly<Record<string, string>>;
  /** Optional keys, which may be missing or 0; other architectures must not have them. */
  factors?: Readonly<Record<string, string>>;
  /** Fields with fixed values for the architecture. */
  fixed?: JsonObject;
  /** Whether the architecture rather than the configuration determines which linear layers have biases. */
  biasesKnown?: boolean;
  /** Frequencies and windows, for rotary positions. */
  attention?(from: Reading): Promise<JsonObject>;
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
  gemma2: {
    ...LLAMA,
    modelType: 'gemma2',
    className: 'Gemma2ForCausalLM',
    factors: {
      attn_logit_softcapping: 'attn_logit_softcapping',
      final_logit_softcapping: 'final_logit_softcapping',
    },
    fixed: { hidden_activation: 'gelu_pytorch_tanh' },
    attention: gemma2Attention,
  },
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

/** Keys of unsupported features, with the value that has no effect. */
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

/** Fields that transformers declares as floats but that may have integer values. */
export const FLOAT_FIELDS: ReadonlySet<string> = new Set([
  'attention_factor',
  'attn_logit_softcapping',
  'factor',
  'final_logit_softcapping',
  'high_freq_factor',
  'low_freq_factor',
  'rope_local_base_freq',
  'rope_theta',
]);

const MOST_LAYERS = 2 ** 12;

/** Tokens that end a text; the first one is the tokenizer's EOS. */
const ENDS = ['eos', 'eot', 'eom'] as const;

/** The configuration as transformers writes it. Throws {@link InputError}. */
export async function ggufConfig({ metadata: values, tensors }: Gguf, file: string): Promise<JsonObject> {
  const metadata = new GgufMetadata(values, file);
  const name = metadata.string('general.architecture');
  const row = name === undefined ? undefined : own(ROWS, name);
  if (!row) {
    const known = `Supported architectures: ${listed(Object.keys(ROWS), 32)}`;
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

/** Number of rows of the embedding; the metadata may count ids without an embedding. */
function vocabulary(tensors: Gguf['tensors'], file: string): number {
  const embedding = tensors.get('token_embd.weight');
  if (embedding?.shape.length === 2) return embedding.shape[0];
  throw new InputError(
    `${file}, tensor "token_embd.weight"`,
    'is missing, or is not a matrix',
    'Use a complete model',
  );
}

function biases(tensors: Gguf['tensors']): JsonObject {
  return {
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    mlp_bias: tensors.has('blk.0.ffn_down.bias'),
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

/** The type of the dequantized numbers: half precision represents all values of blocks. */
function dtypeOf(tensors: Gguf['tensors']): string {
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length > 1).map(({ dtype }) => dtype);
  if (matrices.every((dtype) => dtype === 'F32')) return 'float32';
  return matrices.every((dtype) => dtype === 'F32' || dtype === 'BF16') ? 'bfloat16' : 'float16';
}
