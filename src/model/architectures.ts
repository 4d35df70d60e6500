/**
 * Architectures as data: what a `model_type` calls its weights, and what llama.cpp calls them. One decoder serves every row. A model whose
 * `model_type` has no row here is refused with the list of those that have.
 */

/** The linear layers of a decoder layer, in the order in which they run. */
export const LINEARS = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'] as const;
export type LinearName = (typeof LINEARS)[number];

export interface Architecture {
  /** Weight names; `{i}` stands for the layer's number. */
  embedding: string;
  finalNorm: string;
  head: string;
  inputNorm: string;
  postAttentionNorm: string;
  linears: Record<LinearName, string>;
  gguf: GgufNames;
}

/** What llama.cpp calls the same layers. */
export interface GgufNames {
  /** Its `general.architecture`. */
  architecture: string;
  linears: Record<LinearName, string>;
  /** Layers whose rows it keeps in the order of interleaved rotary pairs, head by head. */
  interleaved: readonly LinearName[];
}

const LLAMA: Architecture = {
  embedding: 'model.embed_tokens',
  finalNorm: 'model.norm',
  head: 'lm_head',
  inputNorm: 'model.layers.{i}.input_layernorm',
  postAttentionNorm: 'model.layers.{i}.post_attention_layernorm',
  linears: {
    q: 'model.layers.{i}.self_attn.q_proj',
    k: 'model.layers.{i}.self_attn.k_proj',
    v: 'model.layers.{i}.self_attn.v_proj',
    o: 'model.layers.{i}.self_attn.o_proj',
    gate: 'model.layers.{i}.mlp.gate_proj',
    up: 'model.layers.{i}.mlp.up_proj',
    down: 'model.layers.{i}.mlp.down_proj',
  },
  gguf: {
    architecture: 'llama',
    linears: {
      q: 'blk.{i}.attn_q',
      k: 'blk.{i}.attn_k',
      v: 'blk.{i}.attn_v',
      o: 'blk.{i}.attn_output',
      gate: 'blk.{i}.ffn_gate',
      up: 'blk.{i}.ffn_up',
      down: 'blk.{i}.ffn_down',
    },
    interleaved: ['q', 'k'],
  },
};

/** By `model_type`. Mistral is Llama where no sliding window is set, which the configuration reader sees to. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = { llama: LLAMA, mistral: LLAMA };

/** A name with its layer's number. */
export function inLayer(name: string, layer: number): string {
  return name.replace('{i}', String(layer));
}
