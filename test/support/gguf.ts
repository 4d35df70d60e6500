/** GGUF files for tests: metadata from plain values, and the smallest valid llama. */
import {
  type GgufTensor,
  type GgufValue,
  NUMBER_TYPES,
  type NumberType,
  writeGguf,
} from '../../src/io/gguf/writer.ts';

type Plain = string | number | boolean | readonly string[];

/** Whole numbers are uint32, others float32. */
export function ggufMetadata(values: Readonly<Record<string, Plain | GgufValue>>): Map<string, GgufValue> {
  return new Map(Object.entries(values).map(([key, value]) => [key, typed(value)]));
}

/** A list of numbers or booleans. */
export function ggufNumbers(of: NumberType, values: readonly number[]): GgufValue {
  const { array } = NUMBER_TYPES[of];
  return { type: 'array', of, value: Reflect.construct(array, [values]) };
}

function typed(value: Plain | GgufValue): GgufValue {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'boolean') return { type: 'bool', value: Number(value) };
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'uint32' : 'float32', value };
  return 'type' in value ? value : { type: 'array', of: 'string', value };
}

/** Byte-level: a few letters and two merges. */
export const BYTE_TOKENIZER = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'smollm',
  'tokenizer.ggml.tokens': ['<s>', '</s>', 'a', 'b', 'Ġ', 'ab', 'Ġab', 'c'],
  'tokenizer.ggml.token_type': ggufNumbers('int32', [3, 3, 1, 1, 1, 1, 1, 1]),
  'tokenizer.ggml.merges': ['a b', 'Ġ ab'],
  'tokenizer.ggml.bos_token_id': 0,
  'tokenizer.ggml.eos_token_id': 1,
  'tokenizer.chat_template': '{% for m in messages %}{{ m.content }}{% endfor %}',
} as const;

/** SentencePiece: the same letters, and what they are merged to by score. */
export const PIECE_TOKENIZER = {
  'tokenizer.ggml.model': 'llama',
  'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab', '▁ab'],
  'tokenizer.ggml.scores': ggufNumbers('float32', [0, 0, 0, -9, -9, -9, -1, -2]),
  'tokenizer.ggml.token_type': ggufNumbers('int32', [2, 3, 3, 1, 1, 1, 1, 1]),
  'tokenizer.ggml.bos_token_id': 1,
  'tokenizer.ggml.eos_token_id': 2,
  'tokenizer.ggml.unknown_token_id': 0,
} as const;

/** One layer of width 8, with weights of zero. */
export const TINY_LLAMA = {
  'general.architecture': 'llama',
  'llama.block_count': 1,
  'llama.context_length': 16,
  'llama.embedding_length': 8,
  'llama.feed_forward_length': 4,
  'llama.attention.head_count': 2,
  'llama.attention.head_count_kv': 1,
  'llama.attention.layer_norm_rms_epsilon': 0.00001,
  'llama.rope.freq_base': 500,
} as const;

const SHAPES: Readonly<Record<string, number[]>> = {
  'token_embd.weight': [8, 8],
  'blk.0.attn_norm.weight': [8],
  'blk.0.attn_q.weight': [8, 8],
  'blk.0.attn_k.weight': [4, 8],
  'blk.0.attn_v.weight': [4, 8],
  'blk.0.attn_output.weight': [8, 8],
  'blk.0.ffn_norm.weight': [8],
  'blk.0.ffn_gate.weight': [4, 8],
  'blk.0.ffn_up.weight': [4, 8],
  'blk.0.ffn_down.weight': [8, 4],
  'output_norm.weight': [8],
};

/** The file with other metadata and tensors. */
export function tinyGguf(
  metadata: Readonly<Record<string, Plain | GgufValue>> = BYTE_TOKENIZER,
  shapes: Readonly<Record<string, number[]>> = {},
): Uint8Array<ArrayBuffer> {
  const tensors = new Map<string, GgufTensor>();
  for (const [name, shape] of Object.entries({ ...SHAPES, ...shapes })) {
    const data = new Uint8Array(2 * shape.reduce((size, each) => size * each, 1));
    tensors.set(name, { dtype: 'F16', shape, data });
  }
  return writeGguf(ggufMetadata({ ...TINY_LLAMA, ...metadata }), tensors);
}
