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
import {
  ARCHITECTURES,
  type Architecture,
  DIALECTS,
  inLayer,
  LAYER_NORMS,
  LINEARS,
  type LinearName,
} from './architectures.ts';
import type { LinearShape } from './lora.ts';

/** What a model's `config.json` says, and the names that its architecture has. */
export interface ModelDescription {
  config: ModelConfig;
  architecture: Architecture;
}

/** Reads the `config.json` of a Hugging Face folder. Throws {@link InputError}. */
export async function describeModel(files: Files): Promise<ModelDescription> {
  const text = await files.readText(MODEL_CONFIG);
  const config = parseConfigText(text, `${files.name}/${MODEL_CONFIG}`, DIALECTS);
  return { config, architecture: ARCHITECTURES[config.modelType] as Architecture };
}

/** (out, in) of each linear layer of a decoder layer. */
export function linearShapes(config: ModelConfig): Record<LinearName, readonly [number, number]> {
  const { hiddenSize: d, intermediateSize: f, numAttentionHeads, numKeyValueHeads, headDim } = config;
  const q = numAttentionHeads * headDim;
  const kv = numKeyValueHeads * headDim;
  const attention = { qkv: [q + 2 * kv, d], q: [q, d], k: [kv, d], v: [kv, d], o: [d, q] } as const;
  return { ...attention, gate: [f, d], up: [f, d], down: [d, f] };
}

/** Whether a linear layer has a bias: the architecture's say, or the configuration's. */
export function hasBias({ biased }: Architecture, config: ModelConfig, name: LinearName): boolean {
  const feedForward = name === 'gate' || name === 'up' || name === 'down';
  return (biased?.includes(name) ?? false) || (feedForward ? config.mlpBias : config.attentionBias);
}

/** The linear layers that an adapter can sit on, by module name. */
export function linearsOf(architecture: Architecture, config: ModelConfig): Map<string, LinearShape> {
  const shapes = linearShapes(config);
  const linears = new Map<string, LinearShape>();
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const name of LINEARS) {
      const [out, inputs] = shapes[name];
      const module = architecture.linears[name];
      if (module) linears.set(inLayer(module, i), { in: inputs, out });
    }
  }
  return linears;
}

/** Every weight of the model and its shape, in the order of the computation. */
export function weightShapes(architecture: Architecture, config: ModelConfig): Map<string, number[]> {
  const { hiddenSize: d, headDim, vocabSize, numHiddenLayers, tieWordEmbeddings } = config;
  const shapes = new Map<string, number[]>();
  const linears = linearShapes(config);
  const set = (module: string, shape: readonly number[], bias: boolean) => {
    shapes.set(`${module}.weight`, [...shape]);
    if (bias) shapes.set(`${module}.bias`, shape.slice(0, 1));
  };
  set(architecture.embedding, [vocabSize, d], false);
  if (architecture.positions) set(architecture.positions, [config.maxPositionEmbeddings, d], false);
  for (let i = 0; i < numHiddenLayers; i++) {
    for (const name of LAYER_NORMS) {
      const module = architecture.norms[name];
      const width = name === 'query' || name === 'key' ? headDim : d;
      if (module) set(inLayer(module, i), [width], architecture.norm === 'layer');
    }
    for (const name of LINEARS) {
      const module = architecture.linears[name];
      if (module) set(inLayer(module, i), linears[name], hasBias(architecture, config, name));
    }
  }
  set(architecture.finalNorm, [d], architecture.norm === 'layer');
  if (!tieWordEmbeddings) shapes.set(`${architecture.head}.weight`, [vocabSize, d]);
  return shapes;
}

/** What a file holds of a tensor: the shape and the bytes of its numbers. */
interface Layout {
  shape: readonly number[];
  data: Uint8Array;
}

/** Tensors as files have them with the names and the layout that the decoder reads. */
export function fromFiles<T extends Layout>(
  architecture: Architecture,
  stored: ReadonlyMap<string, T>,
): Map<string, T> {
  const { prefix = '', head } = architecture;
  const named = [...stored].map(([name, tensor]): [string, T] => {
    const full = name.startsWith(prefix) || name.startsWith(`${head}.`) ? name : `${prefix}${name}`;
    return [full, tensor];
  });
  return turnLinears(architecture, new Map(named));
}

/** Linear weights (out, in) as (in, out) and back, where the architecture's files have them so. */
export function turnLinears<T extends Layout>(
  architecture: Architecture,
  tensors: ReadonlyMap<string, T>,
): Map<string, T> {
  const turned = new Set(architecture.transposed ? Object.values(architecture.linears) : []);
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const module = name.replace(/\.weight$/, '').replace(/\.\d+\./, '.{i}.');
      const turns = name.endsWith('.weight') && turned.has(module) && tensor.shape.length === 2;
      return [name, turns ? transposed(tensor) : tensor];
    }),
  );
}

/** The same numbers with rows and columns exchanged, whatever their type. */
function transposed<T extends Layout>(tensor: T): T {
  const [rows, cols] = tensor.shape as [number, number];
  const size = tensor.data.length / (rows * cols);
  const data = new Uint8Array(tensor.data.length);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const from = (row * cols + col) * size;
      for (let byte = 0; byte < size; byte++)
        data[(col * rows + row) * size + byte] = tensor.data[from + byte] as number;
    }
  }
  return { ...tensor, shape: [cols, rows], data };
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
