/** What a row of the table of architectures says: names of weights here and in llama.cpp, and which parts the decoder computes. */
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
    /** It caps scores and logits, by numbers of the file or of its own. */
    softCaps?: boolean;
    /** Layers by which it knows the model whose queries are scaled by the width of a head in the residual stream, not by a head's. */
    wideQueries?: number;
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

/** A name with its layer's number. */
export function inLayer(name: string, layer: number): string {
  return name.replace('{i}', String(layer));
}
