/**
 * The type of a row in the table of architectures: names of weights here and in llama.cpp, and the parts that the decoder
 * computes.
 */
import type { Activation, ConfigDialect, ModelConfig } from '../io/config.ts';

/**
 * The linear layers that a decoder layer may have, in execution order; `qkv` is q, k and v fused, `gateUp` is gate and up
 * fused.
 */
export const LINEARS = ['qkv', 'q', 'k', 'v', 'o', 'gateUp', 'gate', 'up', 'down'] as const;
export type LinearName = (typeof LINEARS)[number];

/** The norms that a decoder layer may have, in execution order. */
export const LAYER_NORMS = ['attention', 'query', 'key', 'attentionOut', 'mlp', 'mlpOut'] as const;
export type LayerNormName = (typeof LAYER_NORMS)[number];

/** y = x · rstd · w; the same with 1 + w; or layer norm with weight and bias. */
export type NormKind = 'rms' | 'rms-offset' | 'layer';

/** A row of the table. Weight names omit `.weight`; `{i}` is the layer's index. */
export interface Architecture {
  /** How its `config.json` differs from Llama's. */
  dialect: ConfigDialect;
  embedding: string;
  /** Factor of the token embeddings. */
  embeddingScale?(config: ModelConfig): number;
  /** Name of the learned position embedding, added to the token embedding; without one, positions are rotary. */
  positions?: string;
  finalNorm: string;
  head: string;
  /** transformers' name of the model with a sequence classification head, if it has one. */
  classifier?: string;
  norm: NormKind;
  /**
   * `attention` and `mlp` precede their blocks; `attentionOut` and `mlpOut` follow them, before the residual sum; `query`
   * and `key` normalize each head separately.
   */
  norms: Partial<Record<LayerNormName, string>>;
  /** Whether `query` and `key` normalize all heads of a token together. */
  normsWholeProjections?: boolean;
  /** The feed-forward layer is gated if there is a `gate` or a `gateUp`. */
  linears: Partial<Record<LinearName, string>>;
  /** Linear layers that have a bias regardless of the configuration. */
  biased?: readonly LinearName[];
  /** Whether linear weights are stored as (in, out). */
  transposed?: boolean;
  /** Prefix of all weight names, which some files omit. */
  prefix?: string;
  gguf: {
    /** llama.cpp's `general.architecture`. */
    architecture: string;
    /** The activation function that llama.cpp uses regardless of the configuration. */
    activation: Activation;
    /** Layers whose rows llama.cpp stores in the order of interleaved rotary pairs, head by head. */
    interleaved: readonly LinearName[];
    /** llama.cpp uses windows in all but every n-th layer, with separate rotary frequencies. */
    windowPeriod?: number;
    /** In llama.cpp, every n-th layer has no positions. */
    noPositionsPeriod?: number;
    /** Whether llama.cpp caps scores and logits, with caps from the file or its own. */
    softCaps?: boolean;
    /**
     * Number of layers by which llama.cpp recognizes the model that scales queries by hidden size / heads instead of the
     * head size.
     */
    wideQueries?: number;
    /** Whether llama.cpp reads rotary frequency factors for short and for long contexts, and partial rotary positions. */
    contextFactors?: boolean;
    /** Whether llama.cpp reads factors of embedding, scores, residual sums and logits from the file. */
    multipliers?: boolean;
  };
}

/** llama.cpp's names of the same parts, in every architecture. */
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

/** A name with the layer's index inserted. */
export function inLayer(name: string, layer: number): string {
  return name.replace('{i}', String(layer));
}
