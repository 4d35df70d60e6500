/**
 * A model's weights: which tensors an architecture needs and in what shape, checked against what the files hold before
 * anything is uploaded, and put on the device frozen or as parameters. All findings come in one error.
 */
import type { Gpu } from '../gpu/device.ts';
import { type ModelConfig, parseConfigText } from '../io/config.ts';
import { InputError } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { toFloat32 } from '../io/float.ts';
import type { StoredTensor } from '../io/safetensors.ts';
import { MODEL_CONFIG } from '../io/weights.ts';
import { ParameterStore } from '../tensor/parameters.ts';
import { Tensor } from '../tensor/tensor.ts';
import { ARCHITECTURES, type Architecture, inLayer, LINEARS, type LinearName } from './architectures.ts';
import type { LinearShape } from './lora.ts';

/** What a model's `config.json` says, and the names that its architecture has. */
export interface ModelDescription {
  config: ModelConfig;
  architecture: Architecture;
}

/** Reads the `config.json` of a Hugging Face folder. Throws {@link InputError}. */
export async function describeModel(files: Files): Promise<ModelDescription> {
  const text = await files.readText(MODEL_CONFIG);
  const config = parseConfigText(text, `${files.name}/${MODEL_CONFIG}`, Object.keys(ARCHITECTURES));
  return { config, architecture: ARCHITECTURES[config.modelType] as Architecture };
}

/** (out, in) of each linear layer of a decoder layer. */
export function linearShapes(config: ModelConfig): Record<LinearName, [number, number]> {
  const { hiddenSize: d, intermediateSize: f, numAttentionHeads, numKeyValueHeads, headDim } = config;
  const q = numAttentionHeads * headDim;
  const kv = numKeyValueHeads * headDim;
  return { q: [q, d], k: [kv, d], v: [kv, d], o: [d, q], gate: [f, d], up: [f, d], down: [d, f] };
}

/** The linear layers that an adapter can sit on, by module name. */
export function linearsOf(architecture: Architecture, config: ModelConfig): Map<string, LinearShape> {
  const shapes = linearShapes(config);
  const linears = new Map<string, LinearShape>();
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const name of LINEARS) {
      const [out, inputs] = shapes[name];
      linears.set(inLayer(architecture.linears[name], i), { in: inputs, out });
    }
  }
  return linears;
}

/** Every weight of the model and its shape, in the order of the computation. */
export function weightShapes(architecture: Architecture, config: ModelConfig): Map<string, number[]> {
  const { hiddenSize: d, vocabSize, numHiddenLayers, tieWordEmbeddings } = config;
  const shapes = new Map<string, number[]>();
  const linears = linearShapes(config);
  shapes.set(`${architecture.embedding}.weight`, [vocabSize, d]);
  for (let i = 0; i < numHiddenLayers; i++) {
    shapes.set(`${inLayer(architecture.inputNorm, i)}.weight`, [d]);
    shapes.set(`${inLayer(architecture.postAttentionNorm, i)}.weight`, [d]);
    for (const name of LINEARS) shapes.set(`${inLayer(architecture.linears[name], i)}.weight`, linears[name]);
  }
  shapes.set(`${architecture.finalNorm}.weight`, [d]);
  if (!tieWordEmbeddings) shapes.set(`${architecture.head}.weight`, [vocabSize, d]);
  return shapes;
}

/** Throws an {@link InputError} that lists every weight that is missing or has another shape. */
export function checkWeights(
  shapes: ReadonlyMap<string, readonly number[]>,
  stored: ReadonlyMap<string, StoredTensor>,
  source: string,
): void {
  const findings: string[] = [];
  for (const [name, shape] of shapes) {
    const found = stored.get(name)?.shape;
    if (!found) findings.push(`${name} is missing`);
    else if (found.join() !== shape.join()) {
      findings.push(`${name} is (${found.join(', ')}), the configuration says (${shape.join(', ')})`);
    }
  }
  if (findings.length > 0) {
    throw new InputError(source, findings.join('; '), 'Use the config.json that belongs to these weights');
  }
}

/** The weights on the device. */
export interface LoadedWeights {
  tensors: ReadonlyMap<string, Tensor>;
  /** Where all weights train. */
  store: ParameterStore | undefined;
}

/** Uploads the weights in f32, one after the other, or into a parameter store. */
export function uploadWeights(
  gpu: Gpu,
  shapes: ReadonlyMap<string, readonly number[]>,
  stored: ReadonlyMap<string, StoredTensor>,
  trainable: boolean,
): LoadedWeights {
  const values = (name: string) => toFloat32(stored.get(name) as StoredTensor);
  if (trainable) {
    const specs = [...shapes].map(([name, shape]) => ({
      name,
      shape,
      values: values(name),
      decays: shape.length > 1,
    }));
    const store = new ParameterStore(gpu, specs);
    return { tensors: store.tensors, store };
  }
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of shapes) tensors.set(name, Tensor.from(gpu, values(name), shape, name));
  return { tensors, store: undefined };
}
