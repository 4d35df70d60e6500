/**
 * A model with adapters merged into its weights, as a Hugging Face folder of its own: one file of weights in their own
 * types, the configuration and the tokenizer's files as they were. On the host alone; the device is not needed.
 */
import type { AdapterPart } from '../io/combine-adapters.ts';
import type { Files } from '../io/files.ts';
import { toFloat32 } from '../io/float.ts';
import { mergeAdapters } from '../io/merge-adapters.ts';
import { checkAdapterFits } from '../io/peft.ts';
import { isBlocks } from '../io/quantised.ts';
import { type StoredTensor, type TensorSource, writeSafetensors } from '../io/safetensors.ts';
import { carriedFiles, MODEL_CONFIG, MODEL_WEIGHTS } from '../io/weights.ts';
import { toFiles } from './stored-layout.ts';
import { describeModel, linearsOf, openModelWeights } from './weights.ts';

/** A tensor with its bytes, in F32 where it is stored in blocks, which safetensors has no type for. */
async function unpacked(tensor: TensorSource): Promise<StoredTensor> {
  const { dtype } = tensor;
  const data = await tensor.read();
  if (!isBlocks(dtype)) return { ...tensor, dtype, data };
  return { ...tensor, dtype: 'F32', data: new Uint8Array(toFloat32({ ...tensor, data }).buffer) };
}

/**
 * The folder's files by name, in the order in which to write them: without the last it is no model. Throws
 * `InputError` for a model that cannot be read and for an adapter of another one.
 */
export async function mergedModelFiles(
  source: Files,
  parts: readonly AdapterPart[],
): Promise<Record<string, Uint8Array>> {
  const description = await describeModel(source);
  const { config, architecture } = description;
  const linears = linearsOf(architecture, config);
  for (const { adapter, name = 'adapter' } of parts) checkAdapterFits(adapter, linears, name);
  const { stored } = await openModelWeights(source, description);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of stored) tensors.set(name, await unpacked(tensor));
  const merged = toFiles(architecture, mergeAdapters(tensors, parts));
  return {
    ...(await carriedFiles(source)),
    [MODEL_WEIGHTS]: writeSafetensors(merged, { format: 'pt' }),
    [MODEL_CONFIG]: await source.read(MODEL_CONFIG),
  };
}
