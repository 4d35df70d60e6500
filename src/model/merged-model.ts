/**
 * A model with adapters merged into its weights, as a Hugging Face folder of its own: one file of weights in their own
 * types, the configuration and the tokenizer's files as they were. On the host alone; the device is not needed.
 */
import type { AdapterPart } from '../io/combine-adapters.ts';
import { InputError } from '../io/errors.ts';
import { type Files, ownBytes } from '../io/files.ts';
import { toFloat16Bytes, toFloat32, toFloat32Bytes } from '../io/float.ts';
import { mergeAdapters } from '../io/merge-adapters.ts';
import { checkAdapterFits } from '../io/peft.ts';
import { isBlocks } from '../io/quantised.ts';
import {
  type StoredDtype,
  type StoredTensor,
  type TensorSource,
  writeSafetensors,
} from '../io/safetensors.ts';
import { carriedFiles, MODEL_CONFIG, MODEL_WEIGHTS } from '../io/weights.ts';
import { describeModel, type ModelDescription } from './description.ts';
import { headOf, putHead, rewardConfig } from './merged-reward.ts';
import { toFiles } from './stored-layout.ts';
import { openModelWeights } from './stored-weights.ts';
import { linearsOf } from './weight-shapes.ts';

export interface MergedTensor extends StoredTensor {
  /** Its type in the file that it comes from; that of blocks, which nothing can be added to, is F32 here. */
  storedAs: StoredDtype;
}

export interface MergeOptions {
  /**
   * Of a reward model: the token id that is skipped at the end of a text before it is scored, null where the last token is scored,
   * whatever it is. By the model's configuration where it is left out.
   */
  padTokenId?: number | null | undefined;
}

/**
 * The folder's files by name, in the order in which to write them: without the last it is no model. Weights in blocks, which
 * safetensors has no type for, become F16, and `onNotice` hears of it. With the adapter of a reward model it is a model for
 * sequence classification. Throws {@link InputError} for a model that cannot be read and for an adapter of another one.
 */
export async function mergedModelFiles(
  source: Files,
  parts: readonly AdapterPart[],
  onNotice: (line: string) => void = () => undefined,
  { padTokenId }: MergeOptions = {},
): Promise<Record<string, Uint8Array>> {
  const description = await describeModel(source);
  const merged = await mergedTensors(source, description, parts);
  const head = headOf(parts);
  if (head) putHead(merged, head, description);
  const blocks = new Set<string>();
  for (const [name, tensor] of merged) {
    if (!isBlocks(tensor.storedAs)) continue;
    blocks.add(tensor.storedAs);
    merged.set(name, { ...tensor, dtype: 'F16', data: inHalf(tensor) });
  }
  if (blocks.size > 0)
    onNotice(`Weights stored in ${[...blocks].join(', ')} are unpacked and written in F16.`);
  return {
    ...(await carriedFiles(source)),
    [MODEL_WEIGHTS]: writeSafetensors(toFiles(description.architecture, merged), { format: 'pt' }),
    [MODEL_CONFIG]: head
      ? await rewardConfig(source, description, { padTokenId, onNotice })
      : await source.read(MODEL_CONFIG),
  };
}

/** All weights as the decoder reads them, with the adapters in them. */
export async function mergedTensors(
  source: Files,
  description: ModelDescription,
  parts: readonly AdapterPart[],
): Promise<Map<string, MergedTensor>> {
  const { config, architecture } = description;
  const linears = linearsOf(architecture, config);
  for (const { adapter, name = 'adapter' } of parts) checkAdapterFits(adapter, linears, name);
  const { stored } = await openModelWeights(source, description);
  const tensors = new Map<string, MergedTensor>();
  for (const [name, tensor] of stored) tensors.set(name, await unpacked(tensor));
  for (const [name, { data }] of mergeAdapters(tensors, parts)) {
    tensors.set(name, { ...(tensors.get(name) as MergedTensor), data: ownBytes(data) });
  }
  return tensors;
}

/** A tensor's values as F16; {@link InputError} where they are beyond it. */
export function inHalf(tensor: StoredTensor): Uint8Array<ArrayBuffer> {
  if (tensor.dtype === 'F16') return tensor.data;
  const data = toFloat16Bytes(toFloat32(tensor));
  if (toFloat32({ dtype: 'F16', data, where: tensor.where }).every(Number.isFinite)) return data;
  throw new InputError(tensor.where, 'holds numbers that F16 cannot', 'Export an adapter instead');
}

/** A tensor with its bytes. */
async function unpacked({ read, ...tensor }: TensorSource): Promise<MergedTensor> {
  const { dtype } = tensor;
  const data = await read();
  if (!isBlocks(dtype)) return { ...tensor, dtype, data, storedAs: dtype };
  const values = toFloat32Bytes(toFloat32({ ...tensor, data }));
  return { ...tensor, dtype: 'F32', data: ownBytes(values), storedAs: dtype };
}
