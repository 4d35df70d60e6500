/**
 * A tensor: a shape, an element type and a view of a GPU buffer. It has no host copy and does not own
 * its buffer; the tape, a parameter store or the code that allocated it does.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferKind, BufferView } from '../gpu/pool.ts';
import { bytesOf, deviceBytes, packed, type WeightDtype } from './formats.ts';

export type DType = WeightDtype | 'u32';
export type TypedArray = Float32Array<ArrayBufferLike> | Uint32Array<ArrayBufferLike>;

export class Tensor implements BufferView {
  /** The gradient after the first contribution; for a parameter, its slot in the store's gradients. */
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

  /** A view of some of its rows. They must begin at a multiple of 256 bytes. */
  rowsFrom(start: number, count: number): Tensor {
    const view = {
      buffer: this.buffer,
      offset: this.offset + start * this.rowBytes,
      size: deviceBytes(weightDtype(this.dtype), count * this.cols),
    };
    return new Tensor(view, [count, this.cols], this.dtype, this.label);
  }

  /** Changes or removes the buffer; the values are not moved. Only the tape that owns the tensor calls this. */
  moveTo(view: BufferView | undefined): void {
    this.view = view;
  }

  private get place(): BufferView {
    if (this.view) return this.view;
    throw new Error(`${this} is read, but its buffer was released: does an op not declare that it reads it?`);
  }

  toString(): string {
    return `${this.label} (${this.shape.join(', ')}) ${this.dtype}`;
  }

  /** A tensor with host data, in a new buffer from the pool. */
  static from(
    gpu: Gpu,
    data: TypedArray,
    shape: readonly number[],
    label = 'tensor',
    kind?: BufferKind,
  ): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    if (data.length !== length) {
      throw new RangeError(`${label}: ${data.length} values do not match the shape (${shape.join(', ')})`);
    }
    const dtype = data instanceof Uint32Array ? 'u32' : 'f32';
    return new Tensor(gpu.upload(data, label, kind), shape, dtype, label);
  }

  /** Uninitialized weights in a new buffer from the pool. Rows consist of whole blocks of the format. */
  static reserve(gpu: Gpu, shape: readonly number[], dtype: WeightDtype, label: string): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    const view = gpu.pool.allocate(deviceBytes(dtype, length), label, { kind: 'weights' });
    return new Tensor(view, shape, dtype, label);
  }

  /** Fills reserved weights with bytes in the file layout of their format. */
  write(gpu: Gpu, data: Uint8Array): void {
    const dtype = weightDtype(this.dtype);
    if (data.length !== bytesOf(dtype, this.length))
      throw new RangeError(`${data.length} bytes do not match ${this}`);
    gpu.recorder.write(this, packed(dtype, data));
  }

  /** Reads f32 values back: submits and waits. */
  async toArray(gpu: Gpu): Promise<Float32Array> {
    return new Float32Array(await gpu.read(this), 0, this.length);
  }
}

/** Integers have the same size as floats. */
function weightDtype(dtype: DType): WeightDtype {
  return dtype === 'u32' ? 'f32' : dtype;
}
