/**
 * A model's weights on their way to the device, frozen or as parameters, hashed as they pass. One tensor at a time is in the
 * host's memory.
 */
import type { Gpu } from '../gpu/device.ts';
import { formatBytes } from '../gpu/errors.ts';
import { InputError } from '../io/errors.ts';
import { toFloat32 } from '../io/float.ts';
import type { ContentHash } from '../io/hash.ts';
import type { TensorSource } from '../io/safetensors.ts';
import { deviceBytes, type WeightDtype } from '../tensor/formats.ts';
import { type ParameterSpec, ParameterStore } from '../tensor/parameters.ts';
import { Tensor } from '../tensor/tensor.ts';
import { bytesIn, formatFor, type LoadDtype } from './precision.ts';
import type { ModelWeights } from './stored-weights.ts';

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
