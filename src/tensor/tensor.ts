/**
 * A tensor: a shape, an element type and a view of a GPU buffer. It holds no host copy, runs nothing and does not own
 * its buffer; the tape, a parameter store or whoever allocated it does.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind, BufferView } from '../gpu/pool.ts';
import { bytesOf, deviceBytes, packed, type WeightDtype } from './formats.ts';

export type DType = WeightDtype | 'u32';
export type TypedArray = Float32Array<ArrayBufferLike> | Uint32Array<ArrayBufferLike>;

export class Tensor implements BufferView {
  /** The gradient once something has contributed to it; for a parameter, its slot in the store's gradients. */
  grad: Tensor | undefined;
  /** Whether the backward pass must reach this tensor. */
  requiresGrad = false;
  /** A parameter's gradient always adds; an activation's first gradient sets. */
  isParameter = false;

  constructor(
    private view: BufferView | undefined,
    readonly shape: readonly number[],
    readonly dtype: DType = 'f32',
    readonly label = 'tensor',
  ) {}

  get buffer(): GPUBuffer {
    return this.place.buffer;
  }
  get offset(): number {
    return this.place.offset;
  }
  get size(): number {
    return this.place.size;
  }
  /** Number of elements. */
  get length(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }
  /** All dimensions but the last, multiplied: N of `(N, d)`. */
  get rows(): number {
    return this.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  }
  /** The last dimension: d of `(N, d)`. */
  get cols(): number {
    return this.shape[this.shape.length - 1] ?? 1;
  }

  /** Bytes from one row to the next. */
  get rowBytes(): number {
    return bytesOf(weightDtype(this.dtype), this.cols);
  }

  /** Some of its rows, a view. They must begin at a multiple of 256 bytes. */
  rowsFrom(start: number, count: number): Tensor {
    const view = {
      buffer: this.buffer,
      offset: this.offset + start * this.rowBytes,
      size: deviceBytes(weightDtype(this.dtype), count * this.cols),
    };
    return new Tensor(view, [count, this.cols], this.dtype, this.label);
  }

  /** Lies in another buffer from now on, or in none; its values are not moved. Only the tape that owns it does this. */
  moveTo(view: BufferView | undefined): void {
    this.view = view;
  }

  private get place(): BufferView {
    if (this.view) return this.view;
    throw new Error(
      `${this} is read, but its buffer was given up: does an op leave it out of what it reads?`,
    );
  }

  toString(): string {
    return `${this.label} (${this.shape.join(', ')}) ${this.dtype}`;
  }

  /** A tensor with host data, on a buffer of its own from the pool. */
  static from(
    gpu: Gpu,
    data: TypedArray,
    shape: readonly number[],
    label = 'tensor',
    kind?: BufferKind,
  ): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    if (data.length !== length) {
      throw new RangeError(`${label}: ${data.length} values do not fill the shape (${shape.join(', ')})`);
    }
    const dtype = data instanceof Uint32Array ? 'u32' : 'f32';
    return new Tensor(gpu.upload(data, label, kind), shape, dtype, label);
  }

  /** Weights to be written, on a buffer of their own from the pool. Rows are whole blocks of the format. */
  static reserve(gpu: Gpu, shape: readonly number[], dtype: WeightDtype, label: string): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    const view = gpu.pool.allocate(deviceBytes(dtype, length), label, { kind: 'weights' });
    return new Tensor(view, shape, dtype, label);
  }

  /** Fills reserved weights with the bytes that a file of their format would have. */
  write(gpu: Gpu, data: Uint8Array): void {
    const dtype = weightDtype(this.dtype);
    if (data.length !== bytesOf(dtype, this.length))
      throw new RangeError(`${data.length} bytes do not fill ${this}`);
    gpu.recorder.write(this, packed(dtype, data));
  }

  /** Reads the values of f32 back: submits and waits. */
  async toArray(gpu: Gpu): Promise<Float32Array> {
    return new Float32Array(await gpu.read(this), 0, this.length);
  }
}

/** Whole numbers are as long as floats. */
function weightDtype(dtype: DType): WeightDtype {
  return dtype === 'u32' ? 'f32' : dtype;
}
