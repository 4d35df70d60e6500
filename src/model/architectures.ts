/**
 * Architectures as data: what a `model_type` calls its weights and llama.cpp calls them, which of the decoder's parts it
 * has, and how it words its configuration. One decoder serves every row. A model whose `model_type` has no row here is
 * refused with the list of those that have.
 */
import type { Activation, ConfigDialect, ModelConfig } from '../io/config.ts';

/**
 * The linear layers that a decoder layer may have, in the order in which they run; `qkv` is q, k and v in one, `gateUp` gate and
 * up.
 */
export const LINEARS = ['qkv', 'q', 'k', 'v', 'o', 'gateUp', 'gate', 'up', 'down'] as const;
export type LinearName = (typeof LINEARS)[number];

/** The norms that a decoder layer may have, in the order in which they run. */
export const LAYER_NORMS = ['attention', 'query', 'key', 'attentionOut', 'mlp', 'mlpOut'] as const;
export type LayerNormName = (typeof LAYER_NORMS)[number];

/** y = x · rstd · w; the same with 1 + w; or the layer norm with weight and bias. */
export type NormKind = 'rms' | 'rms-offset' | 'layer';

/** A row of the table. Weight names come without `.weight`; `{i}` stands for the layer's number. */
export interface Architecture {
  /** How its `config.json` differs from Llama's. */
  dialect: ConfigDialect;
  embedding: string;
  /** Factor of the embedded tokens. */
  embeddingScale?(config: ModelConfig): number;
  /** A table of learned positions, added to the embedding; without one, positions are rotary. */
  positions?: string;
  finalNorm: string;
  head: string;
  /** What transformers calls the model with a head for sequence classification in place of that, if it has such a model. */
  classifier?: string;
  norm: NormKind;
  /**
   * `attention` and `mlp` come before their blocks, `attentionOut` and `mlpOut` behind them, ahead of the residual sum;
   * `query` and `key` norm each head by itself.
   */
  norms: Partial<Record<LayerNormName, string>>;
  /** `query` and `key` norm all heads of a token together. */
  normsWholeProjections?: boolean;
  /** The feed-forward layer is gated where there is a `gate` or a `gateUp`. */
  linears: Partial<Record<LinearName, string>>;
  /** Linear layers that have a bias, whatever the configuration says. */
  biased?: readonly LinearName[];
  /** Linear weights are stored (in, out). */
  transposed?: boolean;
  /** Beginning of all weight names that some files leave out. */
  prefix?: string;
  gguf: {
    /** llama.cpp's `general.architecture`. */
    architecture: string;
    /** What it computes between the feed-forward layers, whatever the configuration says. */
    activation: Activation;
    /** Layers whose rows it keeps in the order of interleaved rotary pairs, head by head. */
    interleaved: readonly LinearName[];
    /** It has windows, in all but each n-th layer, and positions of their own for them. */
    windowPeriod?: number;
    /** Its each n-th layer has no positions. */
    noPositionsPeriod?: number;
    /** It reads factors of rotary frequencies for short and for long contexts, and partial rotary positions. */
    contextFactors?: boolean;
    /** It reads factors of embedding, scores, residual sums and logits from the file. */
    multipliers?: boolean;
  };
}

/** What llama.cpp calls the same parts, in every architecture. */
export const GGUF_NAMES = {
  embedding: 'token_embd',
  positions: 'position_embd',
  finalNorm: 'output_norm',
  head: 'output',
  norms: {
    attention: 'blk.{i}.attn_norm',
    query: 'blk.{i}.attn_q_norm',
    key: 'blk.{i}.attn_k_norm',
    attentionOut: 'blk.{i}.post_attention_norm',
    mlp: 'blk.{i}.ffn_norm',
    mlpOut: 'blk.{i}.post_ffw_norm',
  },
  linears: {
    qkv: 'blk.{i}.attn_qkv',
    q: 'blk.{i}.attn_q',
    k: 'blk.{i}.attn_k',
    v: 'blk.{i}.attn_v',
    o: 'blk.{i}.attn_output',
    gateUp: 'blk.{i}.ffn_up',
    gate: 'blk.{i}.ffn_gate',
    up: 'blk.{i}.ffn_up',
    down: 'blk.{i}.ffn_down',
  },
} as const satisfies Pick<Architecture, 'embedding' | 'finalNorm' | 'head' | 'norms' | 'linears'> & {
  positions: string;
};

const LLAMA: Architecture = {
  // Window fields that a Llama file may hold mean nothing there.
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

/** 2 and 2.5. */
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

/** Each fourth layer has no positions. */
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
    // Its class takes no slices of weights, whatever the published file says.
    reads: ['no_rope_layers', 'no_rope_layer_interval', 'pretraining_tp'],
  },
  gguf: { architecture: 'smollm3', activation: 'silu', interleaved: ['q', 'k'], noPositionsPeriod: 4 },
};

/** Norms behind the blocks alone. */
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

/** 3 and 4-mini: products fused. */
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

/** The text models; the 1B of Gemma 3 is one by itself. */
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
  norms: {
    ...HEAD_NORMS,
    attention: 'model.layers.{i}.input_layernorm',
    attentionOut: 'model.layers.{i}.post_attention_layernorm',
    mlp: 'model.layers.{i}.pre_feedforward_layernorm',
    mlpOut: 'model.layers.{i}.post_feedforward_layernorm',
  },
  gguf: { architecture: 'gemma3', activation: 'gelu', interleaved: [], windowPeriod: 6 },
};

/** Files of the first models leave the prefix out. */
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
  gpt2: GPT2,
};

/** The dialects of all rows, for the reader of configurations. */
export const DIALECTS: Readonly<Record<string, ConfigDialect>> = Object.fromEntries(
  Object.entries(ARCHITECTURES).map(([type, { dialect }]) => [type, dialect]),
);

/** A name with its layer's number. */
export function inLayer(name: string, layer: number): string {
  return name.replace('{i}', String(layer));
}
