/**
 * Models of a given shape with random weights: the cost of a step does not depend on what was learned. The weights are
 * never in memory as a whole: a file of them is computed piece by piece as it is read, so that a model of any size needs
 * little memory on the host.
 */
import embedded from '../../demos/align/model/config.json';
import { type ByteSource, byteSource, memorySource } from '../../src/io/byte-source.ts';
import { parseConfigText } from '../../src/io/config.ts';
import { type Files, filesOf } from '../../src/io/files.ts';
import type { JsonObject } from '../../src/io/json.ts';
import { MODEL_CONFIG, MODEL_WEIGHTS } from '../../src/io/weights.ts';
import { ARCHITECTURES, DIALECTS } from '../../src/model/architectures.ts';
import { weightShapes } from '../../src/model/weight-shapes.ts';
import { numbers } from './inputs.ts';

const llama = (fields: JsonObject): JsonObject => ({
  model_type: 'llama',
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  ...fields,
});

/** A Llama with as many key heads as query heads, as the peers' decoders have. */
export const plainLlama = (
  vocabulary: number,
  width: number,
  inner: number,
  layers: number,
  heads: number,
): JsonObject =>
  llama({
    vocab_size: vocabulary,
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
  });

/** `config.json` by name. */
export const MODELS = {
  embedded: { ...embedded, max_position_embeddings: 2048 },
  'Llama 15M': plainLlama(32_000, 288, 768, 6, 6),
  'SmolLM2-135M': llama({
    vocab_size: 49_152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    rope_theta: 100_000,
  }),
  'Qwen3-0.6B': llama({
    model_type: 'qwen3',
    vocab_size: 151_936,
    hidden_size: 1024,
    intermediate_size: 3072,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    head_dim: 128,
    rope_theta: 1_000_000,
    rms_norm_eps: 1e-6,
  }),
} satisfies Record<string, JsonObject>;

/** Half the width of a weight's distribution: with it, hidden states keep about their norm through a layer. */
function spreadOf(shape: readonly number[]): number {
  return 1.5 / Math.sqrt(shape.at(-1)!);
}

/** A Hugging Face folder of this configuration. Equal names and configurations have equal weights. */
export function randomModel(json: JsonObject, name: string): Files {
  const text = JSON.stringify(json);
  return filesOf(name, async (path) => {
    if (path === MODEL_CONFIG) return memorySource(new TextEncoder().encode(text), path);
    return path === MODEL_WEIGHTS ? randomWeights(text, name) : undefined;
  });
}

function randomWeights(configText: string, name: string): ByteSource {
  const config = parseConfigText(configText, `${name}/${MODEL_CONFIG}`, DIALECTS);
  const architecture = ARCHITECTURES[config.modelType];
  const tensors: { shape: number[]; begin: number; seed: number }[] = [];
  const header: JsonObject = {};
  let bytes = 0;
  for (const [tensor, shape] of weightShapes(architecture, config)) {
    const begin = bytes;
    bytes += 4 * shape.reduce((a, b) => a * b, 1);
    header[tensor] = { dtype: 'F32', shape, data_offsets: [begin, bytes] };
    tensors.push({ shape, begin, seed: tensors.length });
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + json.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true);
  head.set(json, 8);
  return byteSource(`${name}/${MODEL_WEIGHTS}`, head.length + bytes, async (offset, length) => {
    if (offset < head.length) return head.slice(offset, offset + length);
    const tensor = tensors.find(({ begin }) => begin === offset - head.length);
    if (!tensor) throw new RangeError('weights are read tensor by tensor');
    const { shape, seed } = tensor;
    // Norm weights are vectors with values near 1.
    const values = shape.length > 1 ? numbers(seed, length / 4, spreadOf(shape)) : norm(seed, length / 4);
    return new Uint8Array(values.buffer);
  });
}

function norm(seed: number, length: number): Float32Array<ArrayBuffer> {
  return numbers(seed, length, 0.2).map((value) => 1 + value);
}
