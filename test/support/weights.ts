/**
 * Random weights in any format: the bytes that a file would have, and their values by the reader on the host, which is
 * tested against gguf-py.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { toFloat32 } from '../../src/io/float.ts';
import { float32ToHalf } from '../../src/io/half.ts';
import type { StoredDtype } from '../../src/io/safetensors.ts';
import { bytesOf, FORMATS, type WeightDtype } from '../../src/tensor/formats.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';

export const DTYPES = Object.keys(FORMATS) as WeightDtype[];

/** The positions of a block's half-precision numbers, and the conversion of random whole numbers to weights of about 1. */
const SCALES: Partial<Record<WeightDtype, readonly [at: number, size: number][]>> = {
  q8_0: [[0, 0.015]],
  q4_0: [[0, 0.2]],
  q4_1: [
    [0, 0.2],
    [2, -1.5],
  ],
  q5_0: [[0, 0.1]],
  q5_1: [
    [0, 0.1],
    [2, -1.5],
  ],
  q4_k: [
    [0, 0.006],
    [2, 0.05],
  ],
  q5_k: [
    [0, 0.003],
    [2, 0.05],
  ],
  q6_k: [[208, 0.0008]],
};

const BY_FLOATS: Partial<Record<WeightDtype, (values: Float32Array) => Uint8Array<ArrayBuffer>>> = {
  f32: (values) => new Uint8Array(values.slice().buffer),
  f16: (values) => new Uint8Array(float32ToHalf(values).buffer),
  bf16: (values) => new Uint8Array(new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1).buffer),
};

/** The stored name of a format. */
export function storedName(dtype: WeightDtype): StoredDtype {
  return dtype.toUpperCase() as StoredDtype;
}

/** The values of bytes. */
export function valuesOf(dtype: WeightDtype, data: Uint8Array<ArrayBuffer>): Float32Array {
  return toFloat32({ dtype: storedName(dtype), data, where: dtype });
}

/** Weights on the device. */
export function weightsFrom(
  gpu: Gpu,
  data: Uint8Array,
  shape: readonly number[],
  dtype: WeightDtype,
  label = 'weight',
): Tensor {
  const tensor = Tensor.reserve(gpu, shape, dtype, label);
  tensor.write(gpu, data);
  return tensor;
}

/** This many weights, in whole blocks. */
export function randomWeights(dtype: WeightDtype, count: number, seed: number) {
  const { normals, ints } = random(seed);
  const floats = BY_FLOATS[dtype];
  if (floats) {
    const data = floats(Float32Array.from(normals(count)));
    return { data, values: valuesOf(dtype, data) };
  }
  const data = Uint8Array.from(ints(bytesOf(dtype, count), 256));
  const { bytes } = FORMATS[dtype];
  for (let at = 0; at < data.length; at += bytes) {
    for (const [offset, size] of SCALES[dtype] ?? []) {
      const half = float32ToHalf(Float32Array.of(size * (1 + ints(1, 100)[0] / 200)));
      data.set(new Uint8Array(half.buffer), at + offset);
    }
  }
  return { data, values: valuesOf(dtype, data) };
}
