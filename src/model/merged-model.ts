/**
 * A model with adapters merged into its weights, as a separate Hugging Face folder: one file of weights in their original
 * types, the configuration and the tokenizer's files unchanged. Runs only on the host.
 */
import type { AdapterPart } from '../io/combine-adapters.ts';
import { InputError } from '../io/errors.ts';
import { type Files, ownBytes } from '../io/files.ts';
import { toFloat16Bytes, toFloat32, toFloat32Bytes } from '../io/float.ts';
import { mergedWeight } from '../io/merge-adapters.ts';
import { checkAdapterFits } from '../io/peft.ts';
import { isBlocks } from '../io/quantised.ts';
import {
  type SafetensorsDtype,
  type StoredDtype,
  type StoredTensor,
  streamSafetensors,
  type TensorSource,
} from '../io/safetensors.ts';
import { type StreamedFile, streamOf, wholeFile } from '../io/streamed-file.ts';
import { carriedFiles, MODEL_CONFIG, MODEL_WEIGHTS } from '../io/weights.ts';
import { describeModel, type ModelDescription } from './description.ts';
import { headOf, putHead, rewardConfig } from './merged-reward.ts';
import { toFileStreams } from './stored-layout.ts';
import { openModelWeights } from './stored-weights.ts';
import { linearsOf } from './weight-shapes.ts';

/** A weight with merged adapters, computed when its bytes are requested. */
export interface MergedSource extends Omit<TensorSource, 'dtype'> {
  dtype: SafetensorsDtype;
  /** Its type in the source file; blocks, to which nothing can be added, are converted to F32 here. */
  storedAs: StoredDtype;
}

/** The same with its bytes. */
export interface MergedTensor extends StoredTensor {
  storedAs: StoredDtype;
}

export interface MergeOptions {
  /**
   * For a reward model: the token id that is skipped at the end of a text before it is scored; null: the last token is
   * always scored. Default: from the model's configuration.
   */
  padTokenId?: number | null | undefined;
}

/**
 * The folder's files by name, in write order; the model is incomplete without the last. Weights in blocks, which
 * safetensors does not support, become F16, and `onNotice` reports it. With the adapter of a reward model the result is a
 * model for sequence classification. Throws {@link InputError} for an invalid model and for an adapter of another model.
 */
export async function mergedModelFiles(
  ...given: Parameters<typeof streamMergedModel>
): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (const [path, file] of Object.entries(await streamMergedModel(...given)))
    files[path] = await wholeFile(file);
  return files;
}

/** The same files, with the weights one tensor at a time. */
export async function streamMergedModel(
  source: Files,
  parts: readonly AdapterPart[],
  onNotice: (line: string) => void = () => undefined,
  { padTokenId }: MergeOptions = {},
): Promise<Record<string, StreamedFile>> {
  const description = await describeModel(source);
  const merged = await mergedSources(source, description, parts);
  const head = headOf(parts);
  if (head) putHead(merged, head, description);
  const blocks = new Set<string>();
  for (const [name, tensor] of merged) {
    if (!isBlocks(tensor.storedAs)) continue;
    blocks.add(tensor.storedAs);
    merged.set(name, { ...tensor, dtype: 'F16', read: async () => inHalf(await read(tensor)) });
  }
  if (blocks.size > 0) onNotice(`Weights stored in ${[...blocks].join(', ')} are converted to F16.`);
  const config = head
    ? await rewardConfig(source, description, { padTokenId, onNotice })
    : await source.read(MODEL_CONFIG);
  const carried = Object.entries(await carriedFiles(source));
  return {
    ...Object.fromEntries(carried.map(([path, file]) => [path, streamOf(file)])),
    [MODEL_WEIGHTS]: streamSafetensors(toFileStreams(description.architecture, merged), { format: 'pt' }),
    [MODEL_CONFIG]: streamOf(config),
  };
}

/** All weights in the decoder's layout, with merged adapters; each is computed when it is read. */
export async function mergedSources(
  source: Files,
  description: ModelDescription,
  parts: readonly AdapterPart[],
): Promise<Map<string, MergedSource>> {
  const { config, architecture } = description;
  const linears = linearsOf(architecture, config);
  for (const { adapter, name = 'adapter' } of parts) checkAdapterFits(adapter, linears, name);
  const { stored } = await openModelWeights(source, description);
  const tensors = new Map<string, MergedSource>();
  for (const [name, tensor] of stored) tensors.set(name, unpacked(tensor));
  for (const module of new Set(parts.flatMap(({ adapter }) => [...adapter.weights.keys()]))) {
    const name = `${module}.weight`;
    const tensor = tensors.get(name);
    if (!tensor)
      throw new InputError(
        name,
        'is not among the weights',
        'Give the model that the adapter was trained on',
      );
    const merge = async () => ownBytes(mergedWeight(await read(tensor), module, parts).data);
    tensors.set(name, { ...tensor, read: merge });
  }
  return tensors;
}

/** All of them at once. */
export async function mergedTensors(
  ...given: Parameters<typeof mergedSources>
): Promise<Map<string, MergedTensor>> {
  const tensors = new Map<string, MergedTensor>();
  for (const [name, source] of await mergedSources(...given)) tensors.set(name, await read(source));
  return tensors;
}

async function read({ read, ...tensor }: MergedSource): Promise<MergedTensor> {
  return { ...tensor, data: await read() };
}

/** A tensor's values as F16. Throws {@link InputError} if they overflow. */
export function inHalf(tensor: StoredTensor): Uint8Array<ArrayBuffer> {
  if (tensor.dtype === 'F16') return tensor.data;
  const data = toFloat16Bytes(toFloat32(tensor));
  if (toFloat32({ dtype: 'F16', data, where: tensor.where }).every(Number.isFinite)) return data;
  throw new InputError(tensor.where, 'has numbers that F16 cannot represent', 'Export an adapter instead');
}

/** A tensor in a type that supports addition. */
function unpacked(tensor: TensorSource): MergedSource {
  const { dtype } = tensor;
  if (!isBlocks(dtype)) return { ...tensor, dtype, storedAs: dtype };
  const inFull = async () => {
    const data = await tensor.read();
    return ownBytes(toFloat32Bytes(toFloat32({ ...tensor, data })));
  };
  return { ...tensor, dtype: 'F32', read: inFull, storedAs: dtype };
}
