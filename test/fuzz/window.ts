/**
 * The input that is being read, in memory shared by two threads: the number of inputs so far, and the files of the current
 * one.
 */
import type { Folder } from './folder.ts';

const HEADER = 32;
const BYTES = 4 * 2 ** 20;

export function windowMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEADER * 4 + BYTES);
}

export class Window {
  /** Number of inputs, then the length of each file, −1 if it is missing. */
  private readonly header: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(
    shared: SharedArrayBuffer,
    /** Every file that a folder may have. */
    private readonly names: readonly string[],
  ) {
    this.header = new Int32Array(shared, 0, HEADER);
    this.bytes = new Uint8Array(shared, HEADER * 4);
  }

  get count(): number {
    return Atomics.load(this.header, 0);
  }

  show(folder: Folder): void {
    let at = 0;
    for (const [i, name] of this.names.entries()) {
      const file = folder[name];
      this.header[i + 1] = file ? file.length : -1;
      if (!file) continue;
      this.bytes.set(file, at);
      at += file.length;
    }
    Atomics.add(this.header, 0, 1);
  }

  seen(): Folder {
    const folder: Folder = {};
    let at = 0;
    for (const [i, name] of this.names.entries()) {
      const length = this.header[i + 1];
      if (length < 0) continue;
      folder[name] = new Uint8Array(this.bytes.subarray(at, at + length));
      at += length;
    }
    return folder;
  }
}
