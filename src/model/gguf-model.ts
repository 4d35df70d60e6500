/**
 * Exports a whole model as one GGUF file in half precision, with merged adapters, for llama.cpp: configuration and
 * tokenizer in its metadata, weights under its names. Settings that llama.cpp would compute differently are rejected by
 * name. Runs only on the host.
 */
import { Tokenizer } from '../data/tokenizer.ts';
import type { AdapterPart } from '../io/combine-adapters.ts';
import type { ModelConfig } from '../io/config.ts';
import { InputError } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { toFloat32, toFloat32Bytes } from '../io/float.ts';
import { openGguf } from '../io/gguf/reader.ts';
import { vocabularyMetadata } from '../io/gguf/vocabulary.ts';
import { type GgufStreamedTensor, type GgufValue, streamGguf } from '../io/gguf/writer.ts';
import { parseJsonObject } from '../io/json.ts';
import type { RotaryPositions } from '../io/layer-attention.ts';
import type { StoredTensor } from '../io/safetensors.ts';
import { type StreamedFile, wholeFile } from '../io/streamed-file.ts';
import { MODEL_CONFIG, MODEL_GGUF, weightsFile } from '../io/weights.ts';
import { GGUF_NAMES } from './architecture.ts';
import { describeModel, type ModelDescription } from './description.ts';
import { CONTEXT_FACTORS, ggufForms, ROPE_FACTORS } from './gguf-layout.ts';
import { inHalf, type MergedSource, mergedSources } from './merged-model.ts';
import { refuseHeads } from './merged-reward.ts';
import { rotaryFrequencies } from './rotary.ts';
import { weightShapes } from './weight-shapes.ts';

const WAY_OUT = 'Export the merged model instead';
/** `general.file_type`: most tensors are F16. */
const MOSTLY_F16 = 1;
/** Source metadata that does not apply to the written file. */
const NOT_CARRIED = ['general.file_type', 'general.quantization_version'];

/** The bytes of the file. Throws {@link InputError}. */
export async function ggufModel(
  ...given: Parameters<typeof streamGgufModel>
): Promise<Uint8Array<ArrayBuffer>> {
  return wholeFile(await streamGgufModel(...given));
}

/**
 * The same file, one tensor at a time. Throws {@link InputError}; an overflow of F16 is only detected when its tensor is
 * read.
 */
export async function streamGgufModel(source: Files, parts: readonly AdapterPart[]): Promise<StreamedFile> {
  refuseHeads(parts, 'GGUF');
  const description = await describeModel(source);
  if (description.headless)
    throw new InputError(source.name, 'is a reward model, which llama.cpp does not support in GGUF', WAY_OUT);
  const configuration = ggufModelMetadata(description, `${source.name}/${MODEL_CONFIG}`);
  const carried =
    (await weightsFile(source)) === MODEL_GGUF
      ? await carriedMetadata(source)
      : await tokenizerMetadata(source, description.config);
  const tensors = ggufModelTensors(description, await mergedSources(source, description, parts));
  return streamGguf(new Map([...configuration, ...carried]), tensors);
}

/** The architecture's metadata. Throws {@link InputError} if llama.cpp would compute something else. */
export function ggufModelMetadata(
  { config, architecture }: ModelDescription,
  where: string,
): Map<string, GgufValue> {
  const { norm, positions, gguf } = architecture;
  refuseOthers({ config, architecture }, where);
  const metadata = new Map<string, GgufValue>();
  const integer = (key: string, value: number) =>
    metadata.set(`${gguf.architecture}.${key}`, { type: 'uint32', value });
  const real = (key: string, value: number) =>
    metadata.set(`${gguf.architecture}.${key}`, { type: 'float32', value });

  metadata.set('general.architecture', { type: 'string', value: gguf.architecture });
  metadata.set('general.type', { type: 'string', value: 'model' });
  metadata.set('general.file_type', { type: 'uint32', value: MOSTLY_F16 });
  integer('vocab_size', config.vocabSize);
  const rotary = config.layers[0]?.rotary;
  integer('context_length', rotary?.long?.context ?? config.maxPositionEmbeddings);
  integer('embedding_length', config.hiddenSize);
  integer('block_count', config.numHiddenLayers);
  integer('feed_forward_length', config.intermediateSize);
  integer('attention.head_count', config.numAttentionHeads);
  real(`attention.layer_norm_${norm === 'layer' ? '' : 'rms_'}epsilon`, config.normEps);
  if (gguf.multipliers) {
    real('attention.scale', config.queryScale);
    real('embedding_scale', config.embeddingMultiplier ?? 1);
    real('residual_scale', config.residualMultiplier ?? 1);
    real('logit_scale', config.logitsScaling ?? 1);
  }
  if (gguf.softCaps) {
    real('attn_logit_softcapping', needCap(config.attentionSoftCap, where));
    real('final_logit_softcapping', needCap(config.logitSoftCap, where));
  }
  if (positions) return metadata;

  integer('attention.head_count_kv', config.numKeyValueHeads);
  integer('attention.key_length', config.headDim);
  integer('attention.value_length', config.headDim);
  integer('rope.dimension_count', rotary?.dimensions ?? config.headDim);
  if (gguf.contextFactors) {
    integer('rope.scaling.original_context_length', config.maxPositionEmbeddings);
    if (rotary?.factors) real('rope.scaling.attn_factor', rotary.attentionFactor ?? 1);
  }
  const { full, sliding, window } = kindsOfLayers({ config, architecture }, where);
  real('rope.freq_base', full.theta);
  if (full.linearFactor !== undefined) {
    metadata.set(`${gguf.architecture}.rope.scaling.type`, { type: 'string', value: 'linear' });
    real('rope.scaling.factor', full.linearFactor);
  }
  if (window === undefined) return metadata;
  integer('attention.sliding_window', window);
  if (gguf.windowPeriod !== undefined) real('rope.freq_base_swa', sliding.theta);
  const slides = Uint8Array.from(config.layers, ({ window: own }) => Number(own !== undefined));
  const period = gguf.windowPeriod ?? Number.POSITIVE_INFINITY;
  if (!slides.every((slide, i) => Boolean(slide) === ((i + 1) % period !== 0))) {
    const key = `${gguf.architecture}.attention.sliding_window_pattern`;
    metadata.set(key, { type: 'array', of: 'bool', value: slides });
  }
  return metadata;
}

function needCap(cap: number | undefined, where: string): number {
  if (cap !== undefined) return cap;
  throw new InputError(where, 'llama.cpp caps scores and logits, but this model does not', WAY_OUT);
}

/** The weights: matrices in half precision; small tensors and position embeddings in float32, as llama.cpp requires. */
export function ggufModelTensors(
  description: ModelDescription,
  tensors: ReadonlyMap<string, MergedSource>,
): Map<string, GgufStreamedTensor> {
  const written = new Map<string, GgufStreamedTensor>();
  for (const [name, factors] of frequencyFactors(description)) {
    const data = toFloat32Bytes(factors);
    const shape = [factors.length];
    written.set(name, { shape, dtype: 'F32', bytes: data.byteLength, read: async () => data });
  }
  const needed = weightShapes(description.architecture, description.config);
  const formOf = ggufForms(description);
  for (const [own, { read, ...tensor }] of tensors) {
    if (!needed.has(own)) continue;
    const { shape } = tensor;
    const { name, turn } = formOf(own);
    const whole = shape.length < 2 || name.startsWith(GGUF_NAMES.positions);
    const bytes = shape.reduce((product, size) => product * size, whole ? 4 : 2);
    const make = whole ? inFull : inHalf;
    const made = async () => make(turn({ ...tensor, data: await read() }));
    written.set(name, { shape, dtype: whole ? 'F32' : 'F16', bytes, read: made });
  }
  return written;
}

function inFull(tensor: StoredTensor): Uint8Array {
  return tensor.dtype === 'F32' ? tensor.data : toFloat32Bytes(toFloat32(tensor));
}

/** Rejects settings that llama.cpp does not read and for which it uses fixed values. */
function refuseOthers({ config, architecture: { gguf } }: ModelDescription, where: string): void {
  const { activation, queryScale, headDim, hiddenSize, numAttentionHeads, numHiddenLayers } = config;
  if (activation !== gguf.activation) {
    throw new InputError(
      where,
      `llama.cpp uses the activation ${gguf.activation} for this architecture, not ${activation}`,
      WAY_OUT,
    );
  }
  if (gguf.multipliers) return;
  const length = numHiddenLayers === gguf.wideQueries ? hiddenSize / numAttentionHeads : headDim;
  if (Math.abs(queryScale * Math.sqrt(length) - 1) > 1e-6) {
    throw new InputError(
      where,
      `llama.cpp scales queries by the root of ${length}, but this model does not`,
      WAY_OUT,
    );
  }
}

/** The rotary positions of layers without and with windows; they must be equal within a kind. */
function kindsOfLayers({ config, architecture }: ModelDescription, where: string) {
  const { noPositionsPeriod: period = Number.POSITIVE_INFINITY } = architecture.gguf;
  if (!config.layers.every(({ rotary }, i) => (rotary === undefined) === ((i + 1) % period === 0)))
    throw new InputError(where, 'llama.cpp uses positions in other layers than this model', WAY_OUT);
  const layers = config.layers.filter(({ rotary }) => rotary);
  const kind = (slides: boolean) => layers.filter((layer) => (layer.window !== undefined) === slides);
  const full = only(kind(false), where) ?? only(layers, where)!;
  const sliding = only(kind(true), where);
  const { long, attentionFactor, dimensions } = full;
  if (
    !architecture.gguf.contextFactors &&
    (long || attentionFactor !== undefined || dimensions !== undefined)
  )
    throw new InputError(
      where,
      'llama.cpp computes rotary positions differently for this architecture',
      WAY_OUT,
    );
  const theirs = architecture.gguf.windowPeriod === undefined ? full : { theta: sliding?.theta };
  if (sliding && JSON.stringify(sliding) !== JSON.stringify(theirs)) {
    throw new InputError(
      where,
      'llama.cpp computes rotary positions of layers with windows differently',
      WAY_OUT,
    );
  }
  return {
    full,
    sliding: sliding ?? full,
    window: config.layers.find(({ window }) => window !== undefined)?.window,
  };
}

function only(layers: ModelConfig['layers'], where: string): RotaryPositions | undefined {
  const kinds = new Set(layers.map(({ rotary }) => JSON.stringify(rotary)));
  if (kinds.size <= 1) return layers[0]?.rotary;
  throw new InputError(where, 'layers of one kind have different rotary positions', WAY_OUT);
}

/** The divisors of the plain frequencies, if each has its own, by their names in the file. */
function frequencyFactors({ config, architecture }: ModelDescription): [string, Float32Array][] {
  const rotary = config.layers.find(({ rotary }) => rotary?.llama3 || rotary?.factors)?.rotary;
  if (!rotary || architecture.positions) return [];
  const { theta, factors = [], long } = rotary;
  if (architecture.gguf.contextFactors) {
    const { short, long: longer } = CONTEXT_FACTORS;
    return [
      [longer, Float32Array.from(long?.factors ?? factors)],
      [short, Float32Array.from(factors)],
    ];
  }
  const scaled = rotaryFrequencies(config.headDim, rotary);
  const plain = rotaryFrequencies(config.headDim, { theta });
  return [[ROPE_FACTORS, Float32Array.from(plain, (frequency, j) => frequency / scaled[j])]];
}

async function carriedMetadata(source: Files): Promise<[string, GgufValue][]> {
  const { metadata } = await openGguf(await source.open(MODEL_GGUF));
  return [...metadata].filter(([key]) => /^(general|tokenizer)\./.test(key) && !NOT_CARRIED.includes(key));
}

async function tokenizerMetadata(source: Files, config: ModelConfig): Promise<Map<string, GgufValue>> {
  const tokenizer = await Tokenizer.fromFiles(source);
  const { bosId, eosId, addsEos, chatTemplate, special } = tokenizer;
  const file = `${source.name}/tokenizer.json`;
  const metadata = vocabularyMetadata(parseJsonObject(await source.readText('tokenizer.json'), file), file, {
    size: config.vocabSize,
    special,
    addsBos: bosId !== undefined && tokenizer.encode('a')[0] === bosId,
    addsEos,
    chatTemplate,
  });
  // llama.cpp has three names for end tokens; the tokenizer's own is already set.
  const others = config.eosTokenIds.filter((id) => id !== eosId);
  for (const [i, name] of ['eot', 'eom'].entries()) {
    const id = others[i];
    if (id !== undefined) metadata.set(`tokenizer.ggml.${name}_token_id`, { type: 'uint32', value: id });
  }
  return metadata;
}
