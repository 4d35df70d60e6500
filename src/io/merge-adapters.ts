/**
 * Merges adapters into the weights: W + Σ factorᵢ·scaleᵢ·Bᵢ·Aᵢ, summed in float64 and rounded once to the stored type of
 * the weight (PEFT's `merge_and_unload`). Other tensors are passed on unchanged. Runs on the host, tensor by tensor; the
 * caller checks that the adapters fit.
 */
import type { AdapterPart } from './combine-adapters.ts';
import { InputError } from './errors.ts';
import { FLOAT_BYTES, toFloat32 } from './float.ts';
import { loraScale } from './peft.ts';
import type { StoredTensor, TensorToWrite } from './safetensors.ts';

/**
 * All tensors of a model, by name, with the adapters merged. Throws {@link InputError} for a weight of an unsupported type,
 * and for a sum that overflows its type.
 */
export function mergeAdapters(
  stored: ReadonlyMap<string, StoredTensor>,
  parts: readonly AdapterPart[],
): Map<string, TensorToWrite> {
  const merged = new Map<string, TensorToWrite>(stored);
  for (const module of new Set(parts.flatMap(({ adapter }) => [...adapter.weights.keys()]))) {
    const name = `${module}.weight`;
    const tensor = stored.get(name);
    if (!tensor)
      throw new InputError(
        name,
        'is not among the weights',
        'Give the model that the adapter was trained on',
      );
    merged.set(name, mergedWeight(tensor, module, parts));
  }
  return merged;
}

/** One weight with the adapters of its module merged. Throws {@link InputError} like {@link mergeAdapters}. */
export function mergedWeight(
  tensor: StoredTensor,
  module: string,
  parts: readonly AdapterPart[],
): TensorToWrite {
  const values = toFloat32(tensor);
  const toBytes = FLOAT_BYTES[tensor.dtype as keyof typeof FLOAT_BYTES];
  const [out, width] = tensor.shape as [number, number];
  const sums = new Float32Array(values.length);
  const row = new Float64Array(width);
  for (let o = 0; o < out; o++) {
    row.set(values.subarray(o * width, (o + 1) * width));
    for (const { adapter, factor } of parts) {
      const pair = adapter.weights.get(module);
      if (!pair) continue;
      const scale = factor * loraScale(adapter.config, pair);
      for (let k = 0; k < pair.r; k++) {
        const weight = scale * pair.b[o * pair.r + k];
        for (let i = 0; i < width; i++) row[i] += weight * pair.a[k * width + i];
      }
    }
    sums.set(row, o * width);
  }
  const data = toBytes(sums);
  const written: TensorToWrite = { dtype: tensor.dtype, shape: tensor.shape, data };
  const kept = toFloat32({ ...tensor, data: data as StoredTensor['data'] });
  if (!kept.every(Number.isFinite)) {
    const what = `with the adapter it has numbers that ${tensor.dtype} cannot represent`;
    throw new InputError(tensor.where, what, 'Convert the model to F32, or check the adapter');
  }
  return written;
}
