/**
 * Architectures as data: a `model_type`'s weight names here and in llama.cpp, its parts of the decoder, and its
 * configuration dialect. One decoder serves every row. A model whose `model_type` has no row is rejected with the list of
 * supported ones.
 */
import type { ConfigDialect } from '../io/config.ts';
import type { Architecture } from './architecture.ts';

const LLAMA: Architecture = {
  // Llama ignores window fields that its file may contain.
  dialect: { defaults: { use_sliding_window: false } },
  embedding: 'model.embed_tokens',
  finalNorm: 'model.norm',
  head: 'lm_head',
  classifier: 'LlamaForSequenceClassification',
  norm: 'rms',
  norms: {
    attention: 'model.layers.{i}.input_layernorm',
    mlp: 'model.layers.{i}.post_attention_layernorm',
  },
  linears: {
    q: 'model.layers.{i}.self_attn.q_proj',
    k: 'model.layers.{i}.self_attn.k_proj',
    v: 'model.layers.{i}.self_attn.v_proj',
    o: 'model.layers.{i}.self_attn.o_proj',
    gate: 'model.layers.{i}.mlp.gate_proj',
    up: 'model.layers.{i}.mlp.up_proj',
    down: 'model.layers.{i}.mlp.down_proj',
  },
  gguf: { architecture: 'llama', activation: 'silu', interleaved: ['q', 'k'] },
};

const HEAD_NORMS = {
  query: 'model.layers.{i}.self_attn.q_norm',
  key: 'model.layers.{i}.self_attn.k_norm',
};

const QWEN_WINDOW = { use_sliding_window: false, sliding_window: 4096, max_window_layers: 28 };

const MISTRAL: Architecture = {
  ...LLAMA,
  classifier: 'MistralForSequenceClassification',
  dialect: { defaults: { max_position_embeddings: 131072, sliding_window: 4096 } },
};

/** Qwen 2 and 2.5. */
const QWEN2: Architecture = {
  ...LLAMA,
  classifier: 'Qwen2ForSequenceClassification',
  dialect: { defaults: { max_position_embeddings: 32768, ...QWEN_WINDOW } },
  biased: ['q', 'k', 'v'],
  gguf: { architecture: 'qwen2', activation: 'silu', interleaved: [] },
};

const QWEN3: Architecture = {
  ...LLAMA,
  classifier: 'Qwen3ForSequenceClassification',
  dialect: { defaults: { max_position_embeddings: 32768, head_dim: 128, ...QWEN_WINDOW } },
  norms: { ...LLAMA.norms, ...HEAD_NORMS },
  gguf: { architecture: 'qwen3', activation: 'silu', interleaved: [] },
};

/** Granite 3 and later, dense: factors of embedding, scores, residual sums and logits. */
const { classifier: _, ...LLAMA_LAYERS } = LLAMA;
const GRANITE: Architecture = {
  ...LLAMA_LAYERS,
  dialect: {
    defaults: { attention_multiplier: 1 },
    reads: ['attention_multiplier', 'embedding_multiplier', 'residual_multiplier', 'logits_scaling'],
  },
  embeddingScale: ({ embeddingMultiplier = 1 }) => embeddingMultiplier,
  gguf: { architecture: 'granite', activation: 'silu', interleaved: ['q', 'k'], multipliers: true },
};

/** Every fourth layer has no positions. */
const SMOLLM3: Architecture = {
  ...LLAMA,
  classifier: 'SmolLM3ForSequenceClassification',
  dialect: {
    defaults: {
      max_position_embeddings: 32768,
      no_rope_layer_interval: 4,
      num_key_value_heads: 4,
      rope_theta: 2e6,
      tie_word_embeddings: true,
      use_sliding_window: false,
    },
    // Its class ignores `pretraining_tp`, whatever the published file says.
    reads: ['no_rope_layers', 'no_rope_layer_interval', 'pretraining_tp'],
  },
  gguf: { architecture: 'smollm3', activation: 'silu', interleaved: ['q', 'k'], noPositionsPeriod: 4 },
};

/** Norms only after the blocks. */
const OLMO2: Architecture = {
  ...LLAMA,
  classifier: 'Olmo2ForSequenceClassification',
  dialect: { defaults: { rms_norm_eps: 1e-5 } },
  norms: {
    ...HEAD_NORMS,
    attentionOut: 'model.layers.{i}.post_attention_layernorm',
    mlpOut: 'model.layers.{i}.post_feedforward_layernorm',
  },
  normsWholeProjections: true,
  gguf: { architecture: 'olmo2', activation: 'silu', interleaved: [] },
};

/** Phi 3 and 4-mini: fused linear layers. */
const PHI3: Architecture = {
  ...LLAMA,
  classifier: 'Phi3ForSequenceClassification',
  dialect: {
    defaults: { max_position_embeddings: 4096, original_max_position_embeddings: 4096, rms_norm_eps: 1e-5 },
    reads: ['partial_rotary_factor'],
  },
  linears: {
    qkv: 'model.layers.{i}.self_attn.qkv_proj',
    o: 'model.layers.{i}.self_attn.o_proj',
    gateUp: 'model.layers.{i}.mlp.gate_up_proj',
    down: 'model.layers.{i}.mlp.down_proj',
  },
  gguf: { architecture: 'phi3', activation: 'silu', interleaved: [], contextFactors: true },
};

/** Norms before and after blocks, soft caps of scores and logits, windows in every other layer. */
const GEMMA2: Architecture = {
  ...LLAMA,
  classifier: 'Gemma2ForSequenceClassification',
  dialect: {
    names: { hidden_act: 'hidden_activation' },
    defaults: {
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      head_dim: 256,
      hidden_activation: 'gelu_pytorch_tanh',
      max_position_embeddings: 8192,
      num_key_value_heads: 4,
      query_pre_attn_scalar: 256,
      sliding_window: 4096,
      sliding_window_pattern: 2,
      tie_word_embeddings: true,
    },
    reads: ['attn_logit_softcapping', 'final_logit_softcapping'],
  },
  embeddingScale: ({ hiddenSize }) => Math.sqrt(hiddenSize),
  norm: 'rms-offset',
  norms: {
    attention: 'model.layers.{i}.input_layernorm',
    attentionOut: 'model.layers.{i}.post_attention_layernorm',
    mlp: 'model.layers.{i}.pre_feedforward_layernorm',
    mlpOut: 'model.layers.{i}.post_feedforward_layernorm',
  },
  gguf: {
    architecture: 'gemma2',
    activation: 'gelu',
    interleaved: [],
    windowPeriod: 2,
    softCaps: true,
    wideQueries: 46,
  },
};

/** The text models: the 1B model of Gemma 3 is text-only. */
const GEMMA3: Architecture = {
  ...LLAMA,
  classifier: 'Gemma3TextForSequenceClassification',
  dialect: {
    names: { hidden_act: 'hidden_activation' },
    defaults: {
      head_dim: 256,
      hidden_activation: 'gelu_pytorch_tanh',
      max_position_embeddings: 131072,
      query_pre_attn_scalar: 256,
      rope_local_base_freq: 1e4,
      rope_theta: 1e6,
      sliding_window: 4096,
      sliding_window_pattern: 6,
      tie_word_embeddings: true,
    },
  },
  embeddingScale: ({ hiddenSize }) => Math.sqrt(hiddenSize),
  norm: 'rms-offset',
  norms: { ...GEMMA2.norms, ...HEAD_NORMS },
  gguf: { architecture: 'gemma3', activation: 'gelu', interleaved: [], windowPeriod: 6, wideQueries: 62 },
};

/** Files of the first models omit the prefix. */
const GPT2: Architecture = {
  dialect: {
    names: {
      hidden_act: 'activation_function',
      hidden_size: 'n_embd',
      intermediate_size: 'n_inner',
      max_position_embeddings: 'n_positions',
      num_attention_heads: 'n_head',
      num_hidden_layers: 'n_layer',
      rms_norm_eps: 'layer_norm_epsilon',
    },
    defaults: {
      activation_function: 'gelu_new',
      layer_norm_epsilon: 1e-5,
      n_positions: 1024,
      tie_word_embeddings: true,
    },
    widening: 4,
    rotary: false,
  },
  prefix: 'transformer.',
  embedding: 'transformer.wte',
  positions: 'transformer.wpe',
  finalNorm: 'transformer.ln_f',
  head: 'lm_head',
  classifier: 'GPT2ForSequenceClassification',
  norm: 'layer',
  norms: { attention: 'transformer.h.{i}.ln_1', mlp: 'transformer.h.{i}.ln_2' },
  linears: {
    qkv: 'transformer.h.{i}.attn.c_attn',
    o: 'transformer.h.{i}.attn.c_proj',
    up: 'transformer.h.{i}.mlp.c_fc',
    down: 'transformer.h.{i}.mlp.c_proj',
  },
  biased: ['qkv', 'o', 'up', 'down'],
  transposed: true,
  gguf: { architecture: 'gpt2', activation: 'gelu', interleaved: [] },
};

/** By `model_type`. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: LLAMA,
  mistral: MISTRAL,
  qwen2: QWEN2,
  qwen3: QWEN3,
  gemma3_text: GEMMA3,
  granite: GRANITE,
  smollm3: SMOLLM3,
  olmo2: OLMO2,
  phi3: PHI3,
  gemma2: GEMMA2,
  gpt2: GPT2,
};

/** The dialects of all rows, for the reader of configurations. */
export const DIALECTS: Readonly<Record<string, ConfigDialect>> = Object.fromEntries(
  Object.entries(ARCHITECTURES).map(([type, { dialect }]) => [type, dialect]),
);
