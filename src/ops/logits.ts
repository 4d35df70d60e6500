/**
 * Shared code of the operations on a logits buffer (N, V): wrapping a caller's buffer in a tensor, shape checks, and
 * splitting a buffer that exceeds a binding into blocks of rows. Runs no kernel.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import { Tensor } from '../tensor/tensor.ts';
import { rowsOfPart } from './parts.ts';

/** `GPUBufferUsage.STORAGE`, which is not a global in Node. */
const STORAGE = 0x80;
/** Number of rows that aligns every part of a block to 256 bytes, whatever the row's width. */
const ROW_STEP = 64;

/**
 * The (rows, cols) float32 logits in a buffer provided by the caller, which must belong to the same device and allow
 * STORAGE; otherwise throws a RangeError. The tensor does not own the buffer. With `requiresGrad` the backward pass
 * computes its gradient: added to `grad` if the caller has set one, otherwise in a tensor of the tape.
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
      `${label}: (${rows}, ${cols}) float32 needs ${size} bytes, but the buffer has ${view.size}`,
    );
  }
  // A counting device's buffers have no usage.
  if (view.buffer.usage !== undefined && !(view.buffer.usage & STORAGE)) {
    throw new RangeError(`${label}: the buffer needs GPUBufferUsage.STORAGE`);
  }
  if (view.offset % 256 !== 0) {
    throw new RangeError(`${label}: offset ${view.offset} must be a multiple of 256`);
  }
  const tensor = new Tensor({ buffer: view.buffer, offset: view.offset, size }, [rows, cols], 'f32', label);
  tensor.requiresGrad = requiresGrad;
  return tensor;
}

/** Throws a RangeError unless `logits` is an (N, V) float32 tensor with V ≥ 1. */
export function checkLogits(op: string, logits: Tensor): void {
  if (logits.shape.length !== 2 || logits.cols < 1 || logits.dtype !== 'f32') {
    throw new RangeError(`${op}: logits must be (N, V) f32 with V of at least 1, got ${logits}`);
  }
}

/** Throws a RangeError unless `tensor` has one value of `dtype` for each row. */
export function checkPerRow(op: string, tensor: Tensor, rows: number, dtype: 'f32' | 'u32'): void {
  if (tensor.length !== rows || tensor.dtype !== dtype) {
    throw new RangeError(`${op}: expected one ${dtype} for each of ${rows} rows, got ${tensor}`);
  }
}

/** The part of a tensor for the rows of a block. */
export type Part = (tensor: Tensor) => BufferView;

/**
 * Calls `run` once for each block of rows of (rows, cols) that fits into a binding; usually there is one. `part` selects
 * the block of any tensor with `rows` rows; `start` is the block's first row.
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
