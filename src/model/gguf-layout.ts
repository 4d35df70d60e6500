/**
 * Converts tensors between the layouts of llama.cpp's files and of the decoder: names, the rows of layers with interleaved
 * rotary pairs, and norms whose weights include the offset of 1. Rows are moved in their stored format, including blocks.
 */
import type { ModelConfig } from '../io/config.ts';
import { InputError, listed } from '../io/errors.ts';
import { toFloat32, toFloat32Bytes } from '../io/float.ts';
import type { StoredTensor, TensorSource } from '../io/safetensors.ts';
import { type Architecture, GGUF_NAMES, inLayer, LAYER_NORMS, LINEARS } from './architecture.ts';
import type { ModelDescription } from './description.ts';

/** Rotary frequency factors in the file; the configuration reader has already used them. */
export const ROPE_FACTORS = 'rope_freqs.weight';
/** The same for short and for long contexts, if llama.cpp distinguishes them. */
export const CONTEXT_FACTORS = {
  short: 'rope_factors_short.weight',
  long: 'rope_factors_long.weight',
} as const;

/** A module of the model, with the differences in llama.cpp's file. */
interface Part {
  own: string;
  theirs: string;
  /** Whether rows are interleaved within heads. */
  turns?: boolean;
  /** Whether llama.cpp's weight includes the 1 that the decoder adds. */
  offset?: boolean;
}

/** Whether tensors with these names come from llama.cpp: only its models have this name of the embedding. */
export function isGguf(stored: ReadonlyMap<string, unknown>): boolean {
  return stored.has(`${GGUF_NAMES.embedding}.weight`);
}

/** Tensors of a GGUF file with the decoder's names and layout. {@link InputError} lists unknown ones. */
export function fromGguf(
  { config, architecture }: ModelDescription,
  stored: ReadonlyMap<string, TensorSource>,
  needed: ReadonlyMap<string, unknown>,
): Map<string, TensorSource> {
  const parts = new Map(partsOf(architecture, config).map((part) => [part.theirs, part]));
  const tensors = new Map<string, TensorSource>();
  const strange: string[] = [];
  const factors: readonly string[] = architecture.gguf.contextFactors
    ? Object.values(CONTEXT_FACTORS)
    : [ROPE_FACTORS];
  for (const [given, tensor] of stored) {
    const part = parts.get(moduleOf(given));
    const name = part && `${part.own}${given.slice(part.theirs.length)}`;
    if (part && name && needed.has(name)) tensors.set(name, fromTheirs(part, tensor, config.headDim));
    else if (!factors.includes(given)) strange.push(given);
  }
  if (strange.length === 0) return tensors;
  const where = stored.get(strange[0])?.where ?? 'GGUF';
  const what = `a model of type ${config.modelType} has no place for ${listed(strange)}`;
  throw new InputError(where, what, 'Use a model of a supported architecture, as its converter wrote it');
}

/** A tensor in the layout of llama.cpp's files. */
export interface GgufForm {
  name: string;
  /** Converts the decoder's tensor. */
  turn(tensor: StoredTensor): StoredTensor;
}

/** The form of a decoder tensor in llama.cpp's files, by name. */
export function ggufForms({ config, architecture }: ModelDescription): (name: string) => GgufForm {
  const parts = new Map(partsOf(architecture, config).map((part) => [part.own, part]));
  return (given) => {
    const part = parts.get(moduleOf(given))!;
    return {
      name: `${part.theirs}${given.slice(part.own.length)}`,
      turn: (tensor) => toTheirs(part, tensor, config.headDim),
    };
  };
}

/** The decoder's tensors in the layout of llama.cpp's files. */
export function toGguf(
  description: ModelDescription,
  tensors: ReadonlyMap<string, StoredTensor>,
): Map<string, StoredTensor> {
  const formOf = ggufForms(description);
  return new Map(
    [...tensors].map(([given, tensor]) => {
      const { name, turn } = formOf(given);
      return [name, turn(tensor)];
    }),
  );
}

/**
 * The row of a Hugging Face weight that is stored at `row` by llama.cpp: within each head, rows of its first and second
 * half alternate, 0, n/2, 1, n/2 + 1, …
 */
export function rowInHalves(row: number, headDim: number): number {
  const within = row % headDim;
  return row - within + (within % 2) * (headDim / 2) + Math.floor(within / 2);
}

function partsOf(architecture: Architecture, { numHiddenLayers }: ModelConfig): Part[] {
  const { embedding, positions, finalNorm, head, norms, linears, norm, gguf } = architecture;
  const offset = norm === 'rms-offset';
  const parts: Part[] = [
    { own: embedding, theirs: GGUF_NAMES.embedding },
    { own: finalNorm, theirs: GGUF_NAMES.finalNorm, offset },
    { own: head, theirs: GGUF_NAMES.head },
  ];
  if (positions) parts.push({ own: positions, theirs: GGUF_NAMES.positions });
  for (let i = 0; i < numHiddenLayers; i++) {
    for (const name of LAYER_NORMS) {
      const own = norms[name];
      if (own) parts.push({ own: inLayer(own, i), theirs: inLayer(GGUF_NAMES.norms[name], i), offset });
    }
    for (const name of LINEARS) {
      const own = linears[name];
      const turns = gguf.interleaved.includes(name);
      if (own) parts.push({ own: inLayer(own, i), theirs: inLayer(GGUF_NAMES.linears[name], i), turns });
    }
  }
  return parts;
}

/** The name without its `.weight` or `.bias`. */
function moduleOf(name: string): string {
  return name.replace(/\.(weight|bias)$/, '');
}

function fromTheirs({ turns, offset }: Part, tensor: TensorSource, headDim: number): TensorSource {
  if (turns) {
    const read = async () => {
      const data = await tensor.read();
      return inHalves(data, data.length / tensor.shape[0], headDim);
    };
    return { ...tensor, read };
  }
  if (!offset) return tensor;
  const read = async () => shifted({ ...tensor, data: await tensor.read() }, -1);
  return { ...tensor, dtype: 'F32', read };
}

function toTheirs({ turns, offset }: Part, tensor: StoredTensor, headDim: number): StoredTensor {
  const { data, shape } = tensor;
  if (turns) return { ...tensor, data: inPairs(data, data.length / shape[0], headDim) };
  return offset ? { ...tensor, dtype: 'F32', data: shifted(tensor, 1) } : tensor;
}

function inHalves(data: Uint8Array, rowBytes: number, headDim: number): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(data.length);
  for (let row = 0; row * rowBytes < data.length; row++) {
    rows.set(data.subarray(row * rowBytes, (row + 1) * rowBytes), rowInHalves(row, headDim) * rowBytes);
  }
  return rows;
}

function inPairs(data: Uint8Array, rowBytes: number, headDim: number): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(data.length);
  for (let row = 0; row * rowBytes < data.length; row++) {
    const from = rowInHalves(row, headDim) * rowBytes;
    rows.set(data.subarray(from, from + rowBytes), row * rowBytes);
  }
  return rows;
}

/** Adds `by` to all values, in F32. */
function shifted(
  tensor: Pick<TensorSource, 'dtype' | 'where'> & { data: Uint8Array<ArrayBuffer> },
  by: number,
): Uint8Array<ArrayBuffer> {
  return toFloat32Bytes(toFloat32(tensor).map((value) => value + by)) as Uint8Array<ArrayBuffer>;
}
