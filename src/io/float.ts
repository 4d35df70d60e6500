/**
 * Converts stored numbers to float32 values and back, for every type that weights can have. Little-endian. half.ts and
 * quantised.ts define the bits of each type.
 */
import { InputError } from './errors.ts';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from './half.ts';
import { BLOCKS, type BlockDtype, dequantise } from './quantised.ts';
import type { StoredDtype } from './safetensors.ts';

/** Converters from bytes to values, for each type that {@link toFloat32} reads. */
const VALUES: Readonly<
  Partial<Record<StoredDtype, (data: Uint8Array<ArrayBuffer>) => Float32Array<ArrayBuffer>>>
> = {
  F32: (data) => {
    const { buffer, byteOffset } = aligned(data, 4);
    return new Float32Array(buffer, byteOffset, data.byteLength / 4);
  },
  F16: (data) => halfToFloat32(halves(data)),
  BF16: (data) => bfloat16ToFloat32(halves(data)),
  ...Object.fromEntries(
    Object.keys(BLOCKS).map((dtype) => [dtype, (data: Uint8Array) => dequantise(dtype as BlockDtype, data)]),
  ),
};

/**
 * The values of a tensor of F32, F16, BF16 or blocks. Throws {@link InputError} for other types. The result for aligned F32
 * is a **view** of the file, not a copy: do not write to it.
 */
export function toFloat32({
  dtype,
  data,
  where,
}: {
  dtype: StoredDtype;
  data: Uint8Array<ArrayBuffer>;
  where: string;
}): Float32Array<ArrayBuffer> {
  const values = VALUES[dtype];
  if (!values)
    throw new InputError(
      where,
      `the type ${dtype} is not supported`,
      'Convert the weights to F32, F16 or BF16',
    );
  return values(data);
}

/** Float32 values as bytes for a file; F32 is a view. */
export const FLOAT_BYTES: Readonly<Record<'F32' | 'F16' | 'BF16', (floats: Float32Array) => Uint8Array>> = {
  F32: toFloat32Bytes,
  F16: toFloat16Bytes,
  BF16: (floats) => new Uint8Array(float32ToBfloat16(floats).buffer),
};

/** Float32 values as F16 bytes for a file. */
export function toFloat16Bytes(floats: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(float32ToHalf(floats).buffer);
}

/** Float32 values as F32 bytes, a view. */
export function toFloat32Bytes(floats: Float32Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}

function halves(data: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  const { buffer, byteOffset } = aligned(data, 2);
  return new Uint16Array(buffer, byteOffset, data.byteLength / 2);
}

function aligned(data: Uint8Array<ArrayBuffer>, step: number): Uint8Array<ArrayBuffer> {
  return data.byteOffset % step === 0 ? data : data.slice();
}
