/**
 * A model's weights: which tensors an architecture needs and in what shape, checked against what the files hold before
 * anything is uploaded, and put on the device frozen or as parameters. All findings come in one error.
 */
import { own } from '../base/lookup.ts';
import type { Gpu } from '../gpu/device.ts';
import { formatBytes } from '../gpu/errors.ts';
import { type ModelConfig, parseConfigText, parseGenerationEnds, type TokenIds } from '../io/config.ts';
import { InputError, listed } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { toFloat32 } from '../io/float.ts';
import { type ContentHash, contentHash } from '../io/hash.ts';
import type { TensorSource } from '../io/safetensors.ts';
import { GENERATION_CONFIG, MODEL_CONFIG, openWeights } from '../io/weights.ts';
import { deviceBytes, type WeightDtype } from '../tensor/formats.ts';
import { type ParameterSpec, ParameterStore } from '../tensor/parameters.ts';
import { Tensor } from '../tensor/tensor.ts';
import {
  type Architecture,
  inLayer,
  LAYER_NORMS,
  type LayerNormName,
  LINEARS,
  type LinearName,
} from './architecture.ts';
import { ARCHITECTURES, DIALECTS } from './architectures.ts';
import { isClassifier } from './classifier.ts';
import type { LinearShape } from './lora.ts';
import { bytesIn, formatFor, type LoadDtype } from './precision.ts';
import { fromFiles } from './stored-layout.ts';

/** A model's configuration, and the names that its architecture has. */
export interface ModelDescription {
  config: ModelConfig;
  architecture: Architecture;
  /** There is no head for the vocabulary, or none is wanted; the embedding stands in its place. */
  headless?: boolean;
}

/** Reads the `config.json` and the `generation_config.json` of a Hugging Face folder. Throws {@link InputError}. */
export async function describeModel(files: Files): Promise<ModelDescription> {
  const text = await files.readText(MODEL_CONFIG);
  const config = parseConfigText(text, `${files.name}/${MODEL_CONFIG}`, DIALECTS);
  const ends = await generationEnds(files, config);
  const notices = [...(config.notices ?? []), ...(ends?.notices ?? [])];
  const architecture = own(ARCHITECTURES, config.modelType) as Architecture;
  const description = {
    config: {
      ...config,
      eosTokenIds: ends?.ids ?? config.eosTokenIds,
      ...(notices.length > 0 && { notices }),
    },
    architecture,
  };
  return (await isClassifier(files)) ? withoutHead(description) : description;
}

/** The same model for its hidden states alone. */
export function withoutHead({ config, architecture }: ModelDescription): ModelDescription {
  return { config: { ...config, tieWordEmbeddings: true }, architecture, headless: true };
}

/** The end tokens that `generation_config.json` names, which come before those of `config.json`, as in transformers. */
async function generationEnds(files: Files, { vocabSize }: ModelConfig): Promise<TokenIds | undefined> {
  if (!(await files.exists(GENERATION_CONFIG))) return undefined;
  const text = await files.readText(GENERATION_CONFIG);
  return parseGenerationEnds(text, `${files.name}/${GENERATION_CONFIG}`, vocabSize);
}

/** (out, in) of each linear layer of a decoder layer. */
export function linearShapes(config: ModelConfig): Record<LinearName, readonly [number, number]> {
  const { hiddenSize: d, intermediateSize: f, numAttentionHeads, numKeyValueHeads, headDim } = config;
  const q = numAttentionHeads * headDim;
  const kv = numKeyValueHeads * headDim;
  const attention = { qkv: [q + 2 * kv, d], q: [q, d], k: [kv, d], v: [kv, d], o: [d, q] } as const;
  return { ...attention, gateUp: [2 * f, d], gate: [f, d], up: [f, d], down: [d, f] };
}

const FEED_FORWARD: ReadonlySet<LinearName> = new Set(['gateUp', 'gate', 'up', 'down']);

/** Whether a linear layer has a bias: the architecture's say, or the configuration's. */
export function hasBias({ biased }: Architecture, config: ModelConfig, name: LinearName): boolean {
  return (
    (biased?.includes(name) ?? false) || (FEED_FORWARD.has(name) ? config.mlpBias : config.attentionBias)
  );
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
  const whole = architecture.normsWholeProjections;
  const headNorms: Partial<Record<LayerNormName, number>> = {
    query: whole ? linears.q[0] : headDim,
    key: whole ? linears.k[0] : headDim,
  };
  const set = (module: string, shape: readonly number[], bias: boolean) => {
    shapes.set(`${module}.weight`, [...shape]);
    if (bias) shapes.set(`${module}.bias`, shape.slice(0, 1));
  };
  set(architecture.embedding, [vocabSize, d], false);
  if (architecture.positions) set(architecture.positions, [config.maxPositionEmbeddings, d], false);
  for (let i = 0; i < numHiddenLayers; i++) {
    for (const name of LAYER_NORMS) {
      const module = architecture.norms[name];
      const width = headNorms[name] ?? d;
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

/** What a model's files hold of its weights. */
export interface ModelWeights {
  /** In the order of the computation. */
  shapes: ReadonlyMap<string, readonly number[]>;
  /** With the names and the layout that the decoder reads. */
  stored: ReadonlyMap<string, TensorSource>;
  /** Those that products and embeddings read, in any format; all else is read in f32. */
  matrices: ReadonlySet<string>;
}

/** The weights of a model, all there and in the right shapes. Throws {@link InputError} with all that is wrong. */
export async function openModelWeights(files: Files, description: ModelDescription): Promise<ModelWeights> {
  const { config, architecture, headless = false } = description;
  const shapes = weightShapes(architecture, config);
  const stored = fromFiles(description, await openWeights(files), shapes);
  const { head, embedding } = architecture;
  const findings: string[] = [];
  for (const [name, shape] of shapes) {
    const found = stored.get(name)?.shape;
    if (!found) findings.push(`${name} is missing`);
    else if (found.join() !== shape.join()) {
      findings.push(`${name} is (${found.join(', ')}), the configuration says (${shape.join(', ')})`);
    }
  }
  if (findings.length > 0) {
    const wayOut =
      findings.join() === `${head}.weight is missing`
        ? 'Set "tie_word_embeddings": true in config.json if the head is the embedding'
        : 'Use the config.json that belongs to these weights';
    throw new InputError(files.name, listed(findings, 8, '; '), wayOut);
  }
  const own = config.tieWordEmbeddings && !headless ? stored.get(`${head}.weight`) : undefined;
  // Some files hold the embedding under both names.
  if (own && !(await same(own, stored.get(`${embedding}.weight`) as TensorSource))) {
    const what = 'is a head of its own, and the configuration ties the head to the embedding';
    throw new InputError(own.where, what, 'Set "tie_word_embeddings": false in config.json');
  }
  const isMatrix = ([name, shape]: [string, number[]]) =>
    shape.length === 2 && name !== `${architecture.positions}.weight`;
  return { shapes, stored, matrices: new Set([...shapes].filter(isMatrix).map(([name]) => name)) };
}

/** Whether two tensors hold the same bytes. */
async function same(a: TensorSource, b: TensorSource): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  return (await contentHash(await a.read())) === (await contentHash(await b.read()));
}

/** The weights on the device. */
export interface LoadedWeights {
  tensors: ReadonlyMap<string, Tensor>;
  /** Where all weights train. */
  store: ParameterStore | undefined;
}

/** Bytes that may wait in the host's memory for the device to take them. */
const WAITING_BYTES = 64 * 1024 * 1024;

/**
 * Uploads the weights, matrices in the precision that is asked for, and hashes their bytes on the way. One tensor at a time
 * passes through the host's memory; a counting device reads none.
 */
export async function uploadWeights(
  gpu: Gpu,
  { shapes, stored, matrices }: ModelWeights,
  dtype: LoadDtype,
  hash: ContentHash,
): Promise<LoadedWeights> {
  const tensors = new Map<string, Tensor>();
  let waiting = 0;
  for (const [name, shape] of shapes) {
    const source = stored.get(name) as TensorSource;
    const format = matrices.has(name) ? formatFor(dtype, source) : 'f32';
    checkSize(gpu, source, format);
    const tensor = Tensor.reserve(gpu, shape, format, name);
    tensors.set(name, tensor);
    if (gpu.counting) continue;
    const data = await source.read();
    await hash.add(data);
    // Other numbers come of the same bytes in another format.
    if (format !== 'f32') await hash.add(format);
    tensor.write(gpu, bytesIn(format, source, data));
    waiting += tensor.size;
    if (waiting < WAITING_BYTES) continue;
    await gpu.finish();
    waiting = 0;
  }
  return { tensors, store: undefined };
}

/** Throws {@link InputError} for a tensor that no buffer of the device can hold. */
function checkSize({ limits, counting }: Gpu, { shape, where }: TensorSource, format: WeightDtype): void {
  const bytes = deviceBytes(
    format,
    shape.reduce((a, b) => a * b, 1),
  );
  if (counting || bytes <= limits.maxBufferSize) return;
  const what = `takes ${formatBytes(bytes)} in ${format}, over this device's largest buffer of ${formatBytes(limits.maxBufferSize)}`;
  throw new InputError(where, what, 'Load the model with a smaller dtype, such as q8_0');
}

/** Uploads the weights into a parameter store, in f32, and hashes their bytes on the way. A counting device reads none. */
export async function uploadParameters(
  gpu: Gpu,
  { shapes, stored }: ModelWeights,
  hash: ContentHash,
): Promise<LoadedWeights> {
  const specs: ParameterSpec[] = [];
  for (const [name, shape] of shapes) {
    let values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (!gpu.counting) {
      const source = stored.get(name) as TensorSource;
      const data = await source.read();
      await hash.add(data);
      values = toFloat32({ ...source, data });
    }
    specs.push({ name, shape, values, decays: shape.length > 1 });
  }
  const store = new ParameterStore(gpu, specs);
  return { tensors: store.tensors, store };
}
