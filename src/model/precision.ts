/**
 * The precision of a model's matrices: as stored, or converted while loading. Norms, biases and position embeddings are
 * always f32, because they are small. Does not use the device.
 */
import { isOwn } from '../base/lookup.ts';
import { say, setting } from '../base/sentence.ts';
import { InputError, quote } from '../io/errors.ts';
import { FLOAT_BYTES, toFloat32 } from '../io/float.ts';
import { areFinite, isBlocks, quantise } from '../io/quantised.ts';
import type { StoredDtype, TensorSource } from '../io/safetensors.ts';
import { FORMATS, type WeightDtype } from '../tensor/formats.ts';

/** Names of transformers and GGUF, with the format that they select. */
const WANTED = {
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  q8_0: 'q8_0',
  q4_0: 'q4_0',
} as const satisfies Readonly<Record<string, WeightDtype>>;

/** `auto` keeps matrices as stored. */
export type LoadDtype = 'auto' | keyof typeof WANTED;

export const LOAD_DTYPES: readonly LoadDtype[] = [
  'auto',
  ...(Object.keys(WANTED) as (keyof typeof WANTED)[]),
];

type Maker = (values: Float32Array) => Uint8Array;

/** Formats that values can be converted to. */
const MADE: Readonly<Partial<Record<WeightDtype, Maker>>> = {
  f32: FLOAT_BYTES.F32,
  f16: FLOAT_BYTES.F16,
  bf16: FLOAT_BYTES.BF16,
  q8_0: (values) => quantise('Q8_0', values),
  q4_0: (values) => quantise('Q4_0', values),
};

/** Format of rows that are not a multiple of the block size, as in llama.cpp. */
const WITHOUT_BLOCKS = 'f16';

/** Throws {@link InputError} for an unknown name, and for trained weights in a precision other than float32. */
export function checkDtype(dtype: string, trainable = false): asserts dtype is LoadDtype {
  if (!(LOAD_DTYPES as readonly string[]).includes(dtype))
    throw new InputError(
      'settings',
      say`${setting('dtype')} is ${quote(dtype)}`,
      `Supported: ${LOAD_DTYPES.join(', ')}`,
    );
  if (trainable && dtype !== 'auto' && dtype !== 'float32') {
    const wayOut = say`Train an adapter, or leave ${setting('dtype')} out: trained weights are float32`;
    throw new InputError('settings', say`${setting('dtype')} is ${dtype}, but all weights train`, wayOut);
  }
}

/** The format of a matrix on the device. */
export function formatFor(dtype: LoadDtype, { dtype: stored, shape }: TensorSource): WeightDtype {
  const wanted = dtype === 'auto' ? formatOf(stored) : WANTED[dtype];
  return shape.at(-1)! % FORMATS[wanted].elements === 0 ? wanted : WITHOUT_BLOCKS;
}

/** The stored format, if the device supports it. */
function formatOf(stored: StoredDtype): WeightDtype {
  const name = stored.toLowerCase();
  return isOwn(FORMATS, name) ? name : 'f32';
}

/** A tensor's bytes in a format. Throws {@link InputError} if the format cannot represent its numbers. */
export function bytesIn(
  format: WeightDtype,
  { dtype, where }: TensorSource,
  data: Uint8Array<ArrayBuffer>,
): Uint8Array {
  const isStored = dtype.toLowerCase() === format;
  const bytes = isStored ? data : MADE[format]!(toFloat32({ dtype, data, where }));
  if (format === 'f32' || holds(format, bytes, isStored)) return bytes;
  const what = `has numbers that ${format} cannot represent`;
  throw new InputError(where, what, 'Load the model in bfloat16 or float32, or fetch the file again');
}

/** Whether the stored or converted numbers are finite. Numbers stored in half precision are not checked. */
function holds(format: WeightDtype, bytes: Uint8Array, isStored: boolean): boolean {
  const dtype = format.toUpperCase() as StoredDtype;
  if (isBlocks(dtype)) return areFinite(dtype, bytes);
  return (
    isStored ||
    toFloat32({ dtype, data: bytes as Uint8Array<ArrayBuffer>, where: format }).every(Number.isFinite)
  );
}
