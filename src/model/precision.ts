/**
 * In which precision a model's matrices are kept: as stored, or made on the way to the device. Norms, biases and tables of
 * positions are no matter of precision: they are few, and in f32 always. Touches no device.
 */
import { isOwn } from '../base/lookup.ts';
import { say, setting } from '../base/sentence.ts';
import { InputError, quote } from '../io/errors.ts';
import { FLOAT_BYTES, toFloat32 } from '../io/float.ts';
import { areFinite, isBlocks, quantise } from '../io/quantised.ts';
import type { StoredDtype, TensorSource } from '../io/safetensors.ts';
import { FORMATS, type WeightDtype } from '../tensor/formats.ts';

/** Names of transformers and of GGUF, and the format that they ask for. */
const WANTED = {
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  q8_0: 'q8_0',
  q4_0: 'q4_0',
} as const satisfies Readonly<Record<string, WeightDtype>>;

/** `auto` keeps matrices as they are stored. */
export type LoadDtype = 'auto' | keyof typeof WANTED;

export const LOAD_DTYPES: readonly LoadDtype[] = [
  'auto',
  ...(Object.keys(WANTED) as (keyof typeof WANTED)[]),
];

type Maker = (values: Float32Array) => Uint8Array;

/** Formats that can be made here, of values. */
const MADE: Readonly<Partial<Record<WeightDtype, Maker>>> = {
  f32: FLOAT_BYTES.F32,
  f16: FLOAT_BYTES.F16,
  bf16: FLOAT_BYTES.BF16,
  q8_0: (values) => quantise('Q8_0', values),
  q4_0: (values) => quantise('Q4_0', values),
};

/** Rows that are no whole blocks are kept so, as llama.cpp keeps them. */
const WITHOUT_BLOCKS = 'f16';

/** Throws {@link InputError} for a name that is none, and for weights that train in another precision than float32. */
export function checkDtype(dtype: string, trainable = false): asserts dtype is LoadDtype {
  if (!(LOAD_DTYPES as readonly string[]).includes(dtype))
    throw new InputError(
      'settings',
      say`${setting('dtype')} is ${quote(dtype)}`,
      `Give one of ${LOAD_DTYPES.join(', ')}`,
    );
  if (trainable && dtype !== 'auto' && dtype !== 'float32') {
    const wayOut = say`Train an adapter, or leave ${setting('dtype')} out: trained weights are float32`;
    throw new InputError('settings', say`${setting('dtype')} is ${dtype}, and all weights train`, wayOut);
  }
}

/** The format of a matrix on the device. */
export function formatFor(dtype: LoadDtype, { dtype: stored, shape }: TensorSource): WeightDtype {
  const wanted = dtype === 'auto' ? formatOf(stored) : WANTED[dtype];
  return (shape.at(-1) as number) % FORMATS[wanted].elements === 0 ? wanted : WITHOUT_BLOCKS;
}

/** The format that is stored, where the device has it. */
function formatOf(stored: StoredDtype): WeightDtype {
  const name = stored.toLowerCase();
  return isOwn(FORMATS, name) ? (name as WeightDtype) : 'f32';
}

/** A tensor's bytes in a format. Throws {@link InputError} for one that holds numbers which the format cannot. */
export function bytesIn(
  format: WeightDtype,
  { dtype, where }: TensorSource,
  data: Uint8Array<ArrayBuffer>,
): Uint8Array {
  const isStored = dtype.toLowerCase() === format;
  const bytes = isStored ? data : (MADE[format] as Maker)(toFloat32({ dtype, data, where }));
  if (format === 'f32' || holds(format, bytes, isStored)) return bytes;
  const what = `holds numbers that ${format} cannot`;
  throw new InputError(where, what, 'Load the model in bfloat16 or float32, or fetch the file again');
}

/** Whether the numbers that were stored or made are finite. Those of a file in halves are the file's business. */
function holds(format: WeightDtype, bytes: Uint8Array, isStored: boolean): boolean {
  const dtype = format.toUpperCase() as StoredDtype;
  if (isBlocks(dtype)) return areFinite(dtype, bytes);
  return (
    isStored ||
    toFloat32({ dtype, data: bytes as Uint8Array<ArrayBuffer>, where: format }).every(Number.isFinite)
  );
}
