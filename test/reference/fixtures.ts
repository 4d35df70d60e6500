/**
 * The PyTorch fixtures of test/fixtures, decoded: models as weights by name and as files, references as float arrays. They
 * are bundled with the test, so that Node and a browser read the same bytes. The reader of weights here checks nothing and
 * is not part of the package; src/io has the one that does.
 */
import dpoLossJson from '../fixtures/dpo-loss.json' with { type: 'json' };
import dpoTrajectoryJson from '../fixtures/dpo-trajectory.json' with { type: 'json' };
import generationJson from '../fixtures/generation.json' with { type: 'json' };
import optimizerJson from '../fixtures/optimizer.json' with { type: 'json' };
import samplingJson from '../fixtures/sampling.json' with { type: 'json' };
import adapterConfig from '../fixtures/tiny-llama/adapter/adapter_config.json' with { type: 'json' };
import adapterBytes from '../fixtures/tiny-llama/adapter/adapter_model.safetensors' with { type: 'bytes' };
import llamaConfig from '../fixtures/tiny-llama/config.json' with { type: 'json' };
import llamaBytes from '../fixtures/tiny-llama/model.safetensors' with { type: 'bytes' };
import llamaReference from '../fixtures/tiny-llama/reference.json' with { type: 'json' };
import tiedConfig from '../fixtures/tiny-llama-tied/config.json' with { type: 'json' };
import tiedBytes from '../fixtures/tiny-llama-tied/model.safetensors' with { type: 'bytes' };
import tiedReference from '../fixtures/tiny-llama-tied/reference.json' with { type: 'json' };
import type { DecoderConfig } from './decoder.ts';
import type { LoraAdapter } from './linear.ts';

export {
  dpoLossJson as dpoLoss,
  generationJson as generation,
  optimizerJson as optimizer,
  samplingJson as sampling,
};

/** An array as in the fixtures: little-endian float32 in base64, row-major. */
export interface EncodedArray {
  shape: readonly number[];
  float32: string;
}

/** The numbers of a fixture's array. */
export function decodeArray({ float32 }: EncodedArray): Float32Array<ArrayBuffer> {
  return new Float32Array(decodeBytes(float32).buffer);
}

/** The bytes of base64. */
export function decodeBytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Several named arrays. */
export function decodeArrays(
  named: Readonly<Record<string, EncodedArray>>,
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(Object.entries(named).map(([name, array]) => [name, decodeArray(array)]));
}

/** A model folder: its configuration, its weights in float32, its files by name. */
export interface ModelFixture {
  config: DecoderConfig;
  weights: Map<string, Float32Array>;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Three layers, grouped-query heads, an untied head, float32. */
export const tinyLlama = { ...modelFixture(llamaConfig, llamaBytes), reference: llamaReference };

/** Two layers, one key-value head, a tied head, head_dim different from hidden / heads, bfloat16. */
export const tinyLlamaTied = { ...modelFixture(tiedConfig, tiedBytes), reference: tiedReference };

/** The PEFT folder of tiny-llama: rank 4, alpha 8, all seven linear layers, nonzero B. */
export const tinyLlamaAdapter = {
  adapters: adaptersFrom(
    readWeights(adapterBytes),
    adapterConfig.r,
    adapterConfig.lora_alpha / adapterConfig.r,
  ),
  files: new Map([
    ['adapter_config.json', encodeJson(adapterConfig)],
    ['adapter_model.safetensors', adapterBytes],
  ]),
};

/** Metrics of a run, one entry per step. */
export type TrajectorySteps = typeof dpoTrajectoryJson.steps;

/** TRL's runs; `initial` has A from the run and B zero. */
export const dpoTrajectory = {
  ...dpoTrajectoryJson,
  initial: () => trajectoryAdapters(dpoTrajectoryJson.initial),
  final: () => trajectoryAdapters(dpoTrajectoryJson.final),
  uneven: { ...dpoTrajectoryJson.uneven, final: () => trajectoryAdapters(dpoTrajectoryJson.uneven.final) },
};

function trajectoryAdapters(named: Readonly<Record<string, EncodedArray>>): Map<string, LoraAdapter> {
  const { r, scale } = dpoTrajectoryJson.lora;
  const weights = decodeArrays(named);
  for (const name of [...weights.keys()].filter((name) => name.endsWith('lora_A.weight'))) {
    const b = name.replace('lora_A', 'lora_B');
    const rows = tinyLlama.weights.get(name.replace('lora_A.weight', 'weight'))?.length ?? 0;
    const cols = (weights.get(name)?.length ?? 0) / r;
    if (!weights.has(b)) weights.set(b, new Float32Array((rows / cols) * r));
  }
  return adaptersFrom(weights, r, scale);
}

/** Pairs of `….lora_A.weight` and `….lora_B.weight` under their module's path. */
function adaptersFrom(
  weights: Map<string, Float32Array>,
  rank: number,
  scale: number,
): Map<string, LoraAdapter> {
  const adapters = new Map<string, LoraAdapter>();
  for (const [name, a] of weights) {
    if (!name.endsWith('.lora_A.weight')) continue;
    const b = weights.get(name.replace('lora_A', 'lora_B'));
    if (!b) throw new Error(`${name} has no lora_B`);
    adapters.set(name.replace('base_model.model.', '').replace('.lora_A.weight', ''), { a, b, rank, scale });
  }
  return adapters;
}

function modelFixture(json: typeof llamaConfig, bytes: Uint8Array<ArrayBuffer>): ModelFixture {
  return {
    config: {
      hiddenSize: json.hidden_size,
      intermediateSize: json.intermediate_size,
      numHiddenLayers: json.num_hidden_layers,
      numAttentionHeads: json.num_attention_heads,
      numKeyValueHeads: json.num_key_value_heads,
      headDim: json.head_dim,
      vocabSize: json.vocab_size,
      rmsNormEps: json.rms_norm_eps,
      ropeTheta: json.rope_parameters.rope_theta,
      tieWordEmbeddings: json.tie_word_embeddings,
    },
    weights: readWeights(bytes),
    files: new Map([
      ['config.json', encodeJson(json)],
      ['model.safetensors', bytes],
    ]),
  };
}

function encodeJson(json: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(json));
}

/** Safetensors of float32 or bfloat16: header length, JSON header, data. */
function readWeights(bytes: Uint8Array<ArrayBuffer>): Map<string, Float32Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + view.getUint32(0, true);
  const header: Record<string, { dtype: string; data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, start)),
  );
  const weights = new Map<string, Float32Array>();
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const data = bytes.slice(start + data_offsets[0], start + data_offsets[1]);
    weights.set(name, dtype === 'BF16' ? widen(new Uint16Array(data.buffer)) : new Float32Array(data.buffer));
  }
  return weights;
}

/** A bfloat16 is the upper half of a float32. */
function widen(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}
