/**
 * Uploads a model's weights to the device, frozen or as parameters, and hashes them on the way. Only one tensor at a time
 * is in host memory.
 */
import type { Gpu } from '../gpu/device.ts';
import { formatBytes, MemoryCapError } from '../gpu/errors.ts';
import { InputError } from '../io/errors.ts';
import { toFloat32 } from '../io/float.ts';
import type { ContentHash } from '../io/hash.ts';
import type { TensorSource } from '../io/safetensors.ts';
import { deviceBytes, type WeightDtype } from '../tensor/formats.ts';
import { type ParameterSpec, ParameterStore, SLABS } from '../tensor/parameters.ts';
import { Tensor } from '../tensor/tensor.ts';
import { bytesIn, formatFor, type LoadDtype } from './precision.ts';
import type { ModelWeights } from './stored-weights.ts';

/** The weights on the device. */
export interface LoadedWeights {
  tensors: ReadonlyMap<string, Tensor>;
  /** Present if all weights train. */
  store: ParameterStore | undefined;
}

/**
 * Throws {@link MemoryCapError} if the weights exceed the memory cap together with the buffers in use, and {@link InputError}
 * if one exceeds the device's largest buffer. Needs only their shapes, and
 * leaves out what the pool adds to them: nothing has been read, and nothing is allocated.
 */
export function requireRoom(
  gpu: Gpu,
  { shapes, stored, matrices }: ModelWeights,
  dtype: LoadDtype,
  trainable: boolean,
  name: string,
): void {
  const { pool, counting } = gpu;
  let bytes = pool.report().live;
  for (const tensor of shapes.keys()) {
    const source = stored.get(tensor)!;
    const format = matrices.has(tensor) ? formatFor(dtype, source) : 'f32';
    bytes += trainable ? SLABS.length * sizeOf(gpu, source, 'f32') : sizeOf(gpu, source, format);
  }
  if (counting || bytes <= pool.cap) return;
  const less = trainable ? 'Train an adapter' : 'Load the model with a smaller dtype';
  throw new MemoryCapError(bytes, pool.cap, name, `${less}, or raise the memory cap`);
}

/** Maximum bytes in host memory that wait for the device. */
const WAITING_BYTES = 64 * 1024 * 1024;

/**
 * Uploads the weights, with matrices in the requested precision, and hashes their bytes on the way. One tensor at a time
 * passes through host memory; a counting device reads none.
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
    const source = stored.get(name)!;
    const format = matrices.has(name) ? formatFor(dtype, source) : 'f32';
    const tensor = Tensor.reserve(gpu, shape, format, name);
    tensors.set(name, tensor);
    if (gpu.counting) continue;
    const data = await source.read();
    await hash.add(data);
    // The same bytes give different numbers in another format.
    if (format !== 'f32') await hash.add(format);
    tensor.write(gpu, bytesIn(format, source, data));
    waiting += tensor.size;
    if (waiting < WAITING_BYTES) continue;
    await gpu.finish();
    waiting = 0;
  }
  return { tensors, store: undefined };
}

/** Bytes of a tensor. Throws {@link InputError} if it exceeds the device's largest buffer. */
function sizeOf({ limits, counting }: Gpu, { shape, where }: TensorSource, format: WeightDtype): number {
  const bytes = deviceBytes(
    format,
    shape.reduce((a, b) => a * b, 1),
  );
  if (counting || bytes <= limits.maxBufferSize) return bytes;
  const what = `takes ${formatBytes(bytes)} in ${format}, more than this device's largest buffer of ${formatBytes(limits.maxBufferSize)}`;
  throw new InputError(where, what, 'Load the model with a smaller dtype, such as q8_0');
}

/** Uploads the weights into a parameter store, as f32, and hashes their bytes on the way. On a counting device no weights are read. */
export async function uploadParameters(
  gpu: Gpu,
  { shapes, stored }: ModelWeights,
  hash: ContentHash,
): Promise<LoadedWeights> {
  const specs: ParameterSpec[] = [];
  for (const [name, shape] of shapes) {
    let values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (!gpu.counting) {
      const source = stored.get(name)!;
      const data = await source.read();
      await hash.add(data);
      values = toFloat32({ ...source, data });
    }
    specs.push({ name, shape, values, decays: shape.length > 1 });
  }
  const store = new ParameterStore(gpu, specs);
  return { tensors: store.tensors, store };
}
