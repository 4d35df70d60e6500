/**
 * Layouts of frozen weights on the device: one row per format, with the shader file that reads it (`shaders/formats`). Float
 * formats are stored as in a file. Blocks whose size is not a multiple of four bytes are stored in pairs, both scales first, so that a kernel
 * reads only whole words. The conversion is lossless; the shader and `src/io/quantised.ts` define the meaning of a format.
 */
import bf16 from '../../shaders/formats/bf16.wgsl';
import f16 from '../../shaders/formats/f16.wgsl';
import f32 from '../../shaders/formats/f32.wgsl';
import f32Single from '../../shaders/formats/f32-single.wgsl';
import q4_0 from '../../shaders/formats/q4_0.wgsl';
import q4_1 from '../../shaders/formats/q4_1.wgsl';
import q4_k from '../../shaders/formats/q4_k.wgsl';
import q5_0 from '../../shaders/formats/q5_0.wgsl';
import q5_1 from '../../shaders/formats/q5_1.wgsl';
import q5_k from '../../shaders/formats/q5_k.wgsl';
import q6_k from '../../shaders/formats/q6_k.wgsl';
import q8_0 from '../../shaders/formats/q8_0.wgsl';
import type { Shader } from '../gpu/shader.ts';

/** A format of weights. A kernel joined with its shader reads them with `weight4`, four at a time, or with `weight1`. */
export interface WeightFormat {
  /** Weights per block; rows consist of whole blocks. */
  elements: number;
  /** Bytes per block. */
  bytes: number;
  shader: Shader;
  /** An alternative shader for kernels that read one weight at a time, if it is faster. */
  single?: Shader;
  /** Position of the two-byte scale within a block, if blocks are stored in pairs. */
  scaleAt?: number;
}

/** By their names in files, in lower case. */
export const FORMATS = {
  f32: { elements: 1, bytes: 4, shader: f32, single: f32Single },
  f16: { elements: 1, bytes: 2, shader: f16 },
  bf16: { elements: 1, bytes: 2, shader: bf16 },
  q8_0: { elements: 32, bytes: 34, shader: q8_0, scaleAt: 0 },
  q4_0: { elements: 32, bytes: 18, shader: q4_0, scaleAt: 0 },
  q4_1: { elements: 32, bytes: 20, shader: q4_1 },
  q5_0: { elements: 32, bytes: 22, shader: q5_0, scaleAt: 0 },
  q5_1: { elements: 32, bytes: 24, shader: q5_1 },
  q4_k: { elements: 256, bytes: 144, shader: q4_k },
  q5_k: { elements: 256, bytes: 176, shader: q5_k },
  q6_k: { elements: 256, bytes: 210, shader: q6_k, scaleAt: 208 },
} as const satisfies Readonly<Record<string, WeightFormat>>;

export type WeightDtype = keyof typeof FORMATS;

/** Bytes of whole blocks. */
export function bytesOf(dtype: WeightDtype, elements: number): number {
  const format = FORMATS[dtype];
  return (elements / format.elements) * format.bytes;
}

/** Bytes that so many weights need on the device: whole words, and whole pairs of blocks if blocks are paired. */
export function deviceBytes(dtype: WeightDtype, elements: number): number {
  const { bytes } = FORMATS[dtype];
  const group = bytes % 4 === 0 ? bytes : 2 * bytes;
  return Math.ceil(bytesOf(dtype, elements) / group) * group;
}

/** Converts blocks from the file's layout to the device's. */
export function packed(dtype: WeightDtype, data: Uint8Array): Uint8Array {
  const { bytes, scaleAt }: WeightFormat = FORMATS[dtype];
  if (scaleAt === undefined) return inWords(data);
  const pair = 2 * bytes;
  const count = data.length / bytes;
  const laid = new Uint8Array(Math.ceil(count / 2) * pair);
  for (let block = 0; block < count; block++) {
    const from = block * bytes;
    const to = (block >> 1) * pair;
    const second = block % 2;
    laid.set(data.subarray(from + scaleAt, from + scaleAt + 2), to + 2 * second);
    const rest = to + 4 + second * (bytes - 2);
    laid.set(data.subarray(from, from + scaleAt), rest);
    laid.set(data.subarray(from + scaleAt + 2, from + bytes), rest + scaleAt);
  }
  return laid;
}

function inWords(data: Uint8Array): Uint8Array {
  if (data.length % 4 === 0) return data;
  const words = new Uint8Array(Math.ceil(data.length / 4) * 4);
  words.set(data);
  return words;
}
