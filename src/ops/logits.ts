/**
 * What the operations over a logits buffer (N, V) share: how a caller's own buffer becomes a tensor, which shapes are
 * refused, and how a buffer larger than a binding may be is taken in blocks of rows. It runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import { Tensor } from '../tensor/tensor.ts';
import { rowsOfPart } from './parts.ts';

/** `GPUBufferUsage.STORAGE`, which Node has no global for. */
const STORAGE = 0x80;
/** Rows that keep every part of a block on a 256-byte border, whatever the row's width. */
const ROW_STEP = 64;

/**
 * The (rows, cols) float32 logits in a buffer of the caller's, which must belong to the same device and allow
 * STORAGE, otherwise a RangeError says so. The tensor does not own the buffer. With `requiresGrad` the backward pass reaches it: into `grad` where
 * the caller has set one (it is added to), else into a tensor of the tape's.
 */
export function logitsOf(
  source: GPUBuffer | BufferView,
  rows: number,
  cols: number,
  { requiresGrad = false, label = 'logits' }: { requiresGrad?: boolean; label?: string } = {},
): Tensor {
  const view = 'buffer' in source ? source : { buffer: source, offset: 0, size: source.size };
  const size = rows * cols * 4;
  if (view.size < size) {
    throw new RangeError(
      `${label}: (${rows}, ${cols}) float32 needs ${size} bytes, the buffer has ${view.size}`,
    );
  }
  // A device that only counts has buffers without a usage.
  if (view.buffer.usage !== undefined && !(view.buffer.usage & STORAGE)) {
    throw new RangeError(`${label}: the buffer was made without GPUBufferUsage.STORAGE; make it with that`);
  }
  if (view.offset % 256 !== 0) {
    throw new RangeError(`${label}: offset ${view.offset} is not a multiple of 256, as bindings must be`);
  }
  const tensor = new Tensor({ buffer: view.buffer, offset: view.offset, size }, [rows, cols], 'f32', label);
  tensor.requiresGrad = requiresGrad;
  return tensor;
}

/** Throws a RangeError unless `logits` is an (N, V) float32 tensor with V ≥ 1. */
export function checkLogits(op: string, logits: Tensor): void {
  if (logits.shape.length !== 2 || logits.cols < 1 || logits.dtype !== 'f32') {
    throw new RangeError(`${op}: logits must be (N, V) f32 with V of at least 1, not ${logits}`);
  }
}

/** Throws a RangeError unless `tensor` has one value of `dtype` for each row. */
export function checkPerRow(op: string, tensor: Tensor, rows: number, dtype: 'f32' | 'u32'): void {
  if (tensor.length !== rows || tensor.dtype !== dtype) {
    throw new RangeError(`${op}: one ${dtype} for each of ${rows} rows is needed, not ${tensor}`);
  }
}

/** The part of a tensor that belongs to the rows of a block. */
export type Part = (tensor: Tensor) => BufferView;

/**
 * Calls `run` once for each block of rows of (rows, cols) that a single binding can hold; mostly there is one. `part`
 * cuts the block out of any tensor with `rows` rows; `start` is the block's first row.
 */
export function inRowBlocks(
  gpu: Gpu,
  rows: number,
  cols: number,
  run: (count: number, part: Part, start: number) => void,
): void {
  const fitting = Math.floor(gpu.limits.maxStorageBufferBindingSize / (cols * 4));
  const step = Math.max(ROW_STEP, Math.floor(fitting / ROW_STEP) * ROW_STEP);
  for (let start = 0; start < rows; start += step) {
    const count = Math.min(step, rows - start);
    run(count, (tensor) => rowsOfPart(tensor, rows, { first: start, count }), start);
  }
}
