/**
 * Block-quantized weights, as in GGUF: a few dozen or hundred integers of four to eight bits with the scales that convert
 * them to weights. Defines the length of blocks and the meaning of their bits exactly like gguf-py; does not decide which
 * tensors are stored this way.
 *
 * Formats: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
 */
import { isOwn } from '../base/lookup.ts';
import { float32ToHalf, halfToFloat32 } from './half.ts';

/** A block format. Both functions process one block, at `at` in its bytes and `to` in its values. */
export interface BlockFormat {
  /** Number of weights per block. */
  elements: number;
  bytes: number;
  /** Positions of its half-precision scales. */
  halves: readonly number[];
  dequantise(block: Uint8Array, at: number, values: Float32Array, to: number): void;
  /** Present if the format can also be written. */
  quantise?(values: Float32Array, from: number, block: Uint8Array, at: number): void;
}

/** By GGUF's names. */
export const BLOCKS = {
  Q8_0: { elements: 32, bytes: 34, halves: [0], dequantise: eightBits, quantise: toEightBits },
  Q4_0: { ...nibbles(4, false), quantise: toFourBits },
  Q4_1: nibbles(4, true),
  Q5_0: nibbles(5, false),
  Q5_1: nibbles(5, true),
  Q4_K: superBlock(4),
  Q5_K: superBlock(5),
  Q6_K: { elements: 256, bytes: 210, halves: [208], dequantise: sixBits },
} as const satisfies Readonly<Record<string, BlockFormat>>;

export type BlockDtype = keyof typeof BLOCKS;

export function isBlocks(dtype: string): dtype is BlockDtype {
  return isOwn(BLOCKS, dtype);
}

/** Whether all half-precision scales of whole blocks are finite, and thus all values. */
export function areFinite(dtype: BlockDtype, blocks: Uint8Array): boolean {
  const { bytes, halves: places } = BLOCKS[dtype];
  for (let at = 0; at < blocks.length; at += bytes) {
    for (const place of places) if ((blocks[at + place + 1] & 0x7c) === 0x7c) return false;
  }
  return true;
}

/** The values of whole blocks. */
export function dequantise(dtype: BlockDtype, blocks: Uint8Array): Float32Array<ArrayBuffer> {
  const { elements, bytes, dequantise: one } = BLOCKS[dtype];
  const count = blocks.length / bytes;
  const values = new Float32Array(count * elements);
  for (let i = 0; i < count; i++) one(blocks, i * bytes, values, i * elements);
  return values;
}

/** Quantizes values into whole blocks. A scale that overflows half precision becomes infinite. */
export function quantise(dtype: 'Q8_0' | 'Q4_0', values: Float32Array): Uint8Array<ArrayBuffer> {
  const { elements, bytes, quantise: one } = BLOCKS[dtype];
  const count = values.length / elements;
  const blocks = new Uint8Array(count * bytes);
  for (let i = 0; i < count; i++) one(values, i * elements, blocks, i * bytes);
  return blocks;
}

let halves: Float32Array | undefined;

/** A half-precision number, from a table of all. */
function half(bytes: Uint8Array, at: number): number {
  halves ??= halfToFloat32(Uint16Array.from({ length: 65536 }, (_, bits) => bits));
  return halves[bytes[at] | (bytes[at + 1] << 8)];
}

function setHalf(value: number, bytes: Uint8Array, at: number): void {
  const bits = float32ToHalf(Float32Array.of(value))[0];
  bytes[at] = bits;
  bytes[at + 1] = bits >> 8;
}

/** A scale and 32 signed bytes. */
function eightBits(block: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(block, at);
  for (let i = 0; i < 32; i++) values[to + i] = ((block[at + 2 + i] << 24) >> 24) * scale;
}

/**
 * A scale, an optional minimum, optional fifth bits, then nibbles: the low nibbles are the first half of the weights.
 * Without a minimum, the numbers are centered.
 */
function nibbles(bits: 4 | 5, hasMinimum: boolean) {
  const fifths = hasMinimum ? 4 : 2;
  const start = fifths + (bits === 5 ? 4 : 0);
  const middle = hasMinimum ? 0 : 2 ** (bits - 1);
  const dequantise: BlockFormat['dequantise'] = (block, at, values, to) => {
    const scale = half(block, at);
    const minimum = hasMinimum ? half(block, at + 2) : -0; // x + -0 is x, for -0 as well
    for (let i = 0; i < 32; i++) {
      const pair = block[at + start + (i & 15)];
      const fifth = bits === 5 ? (block[at + fifths + (i >> 3)] >> (i & 7)) & 1 : 0;
      const whole = (i < 16 ? pair & 15 : pair >> 4) | (fifth << 4);
      values[to + i] = scale * (whole - middle) + minimum;
    }
  };
  return { elements: 32, bytes: start + 16, halves: hasMinimum ? [0, 2] : [0], dequantise };
}

/**
 * Eight runs of 32 with two half-precision factors, for the runs' 6-bit scales and minima; optional fifth bits, bit by run;
 * then nibbles, 32 bytes for every two runs.
 */
function superBlock(bits: 4 | 5) {
  const start = bits === 5 ? 48 : 16;
  const dequantise: BlockFormat['dequantise'] = (block, at, values, to) => {
    const byte = (index: number) => block[at + index];
    for (let run = 0; run < 8; run++) {
      const [scale, minimum] = sixBitPair(byte, run);
      const d = half(block, at) * scale;
      const m = half(block, at + 2) * minimum;
      for (let i = 0; i < 32; i++) {
        const fifth = bits === 5 ? (byte(16 + i) >> run) & 1 : 0;
        const nibble = (byte(start + 32 * (run >> 1) + i) >> (4 * (run & 1))) & 15;
        values[to + 32 * run + i] = d * (nibble | (fifth << 4)) - m;
      }
    }
  };
  return { elements: 256, bytes: start + 128, halves: [0, 2], dequantise };
}

/** Scale and minimum of a run: six bits each for runs 0 to 3, whose two spare bits are the upper bits of runs 4 to 7. */
function sixBitPair(byte: (index: number) => number, run: number): [number, number] {
  const [scale, minimum] = [byte(4 + (run & 3)), byte(8 + (run & 3))];
  if (run < 4) return [scale & 63, minimum & 63];
  const lower = byte(8 + run);
  return [(lower & 15) | ((scale >> 6) << 4), (lower >> 4) | ((minimum >> 6) << 4)];
}

/** Lower four bits, upper two bits, sixteen signed scales, and the half-precision factor of the scales. */
function sixBits(block: Uint8Array, at: number, values: Float32Array, to: number): void {
  const byte = (index: number) => block[at + index];
  const d = half(block, at + 208);
  for (let i = 0; i < 256; i++) {
    const [part, within] = [i >> 7, i & 127];
    const lower = (byte(64 * part + (within & 63)) >> (4 * (within >> 6))) & 15;
    const upper = (byte(128 + 32 * part + (within & 31)) >> (2 * (within >> 5))) & 3;
    const scale = (byte(192 + (i >> 4)) << 24) >> 24;
    values[to + i] = d * scale * ((lower | (upper << 4)) - 32);
  }
}

/** Every step rounds to float32, as in the reference implementation. */
const f32 = Math.fround;

function inverse(scale: number): number {
  return scale === 0 ? 0 : f32(1 / scale);
}

/** Rounds to the nearest of ±127 steps, ties away from zero. */
function toEightBits(values: Float32Array, from: number, block: Uint8Array, at: number): void {
  let largest = 0;
  for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(values[from + i]));
  const scale = f32(largest / 127);
  const steps = inverse(scale);
  setHalf(scale, block, at);
  for (let i = 0; i < 32; i++) {
    const step = f32(values[from + i] * steps);
    block[at + 2 + i] = Math.sign(step) * Math.floor(Math.abs(step) + 0.5);
  }
}

/** The weight of largest magnitude, with its sign, becomes step −8. */
function toFourBits(values: Float32Array, from: number, block: Uint8Array, at: number): void {
  let largest = values[from];
  for (let i = 1; i < 32; i++) {
    const value = values[from + i];
    if (Math.abs(value) > Math.abs(largest)) largest = value;
  }
  const scale = f32(largest / -8);
  const steps = inverse(scale);
  const step = (i: number) => Math.min(15, Math.trunc(f32(f32(values[from + i] * steps) + 8.5)));
  setHalf(scale, block, at);
  for (let i = 0; i < 16; i++) block[at + 2 + i] = step(i) | (step(i + 16) << 4);
}
