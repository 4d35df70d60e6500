/**
 * A device on which every tensor is between guard regions and is initialized with NaN, so that a kernel that writes past
 * its buffer, or reads what was never written, is caught even if its results look right. It replaces the `Gpu` in any op,
 * with the reduction width that a test requests.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import type { BufferPool, BufferView } from '../../src/gpu/pool.ts';

/** Bytes before and after each view, a multiple of the binding alignment. */
const MARGIN = 256;
/** A NaN that no kernel computes. */
const SENTINEL = 0x7fc0dead;

interface Guarded {
  whole: BufferView;
  view: BufferView;
  label: string;
}

export interface Guards {
  /** Used instead of the real one. */
  gpu: Gpu;
  /** Throws if a guard region has changed; then releases all buffers. */
  check(): Promise<void>;
}

/** `rowThreads`: threads of a workgroup that reduces a row, the device's own by default. */
export function guards(real: Gpu, rowThreads = real.rowThreads): Guards {
  const all: Guarded[] = [];
  const pool: BufferPool = Object.create(real.pool, {
    allocate: {
      value: (size: number, label: string): BufferView => {
        const inner = Math.max(4, Math.ceil(size / 4) * 4);
        const whole = real.pool.allocate(inner + 2 * MARGIN, `guarded ${label}`);
        real.recorder.write(whole, new Uint32Array(whole.size / 4).fill(SENTINEL));
        const view = { buffer: whole.buffer, offset: whole.offset + MARGIN, size: inner };
        all.push({ whole, view, label });
        return view;
      },
    },
    // The guards of a reused buffer would be written again.
    release: { value: () => {} },
  });
  const gpu: Gpu = Object.create(real, { pool: { value: pool }, rowThreads: { value: rowThreads } });
  const check = async () => {
    const taken = all.splice(0);
    const reads = Promise.all(taken.map(({ whole }) => real.recorder.read(whole)));
    real.recorder.flush();
    const contents = await real.settle(reads);
    taken.forEach(({ whole, view, label }, at) => {
      real.pool.release(whole);
      const words = new Uint32Array(contents[at]);
      const first = MARGIN / 4;
      const last = first + view.size / 4;
      const changed = words.findIndex((word, i) => (i < first || i >= last) && word !== SENTINEL);
      if (changed >= 0)
        throw new Error(`${label}: the guard at word ${changed - first} of ${view.size / 4} was written`);
    });
  };
  return { gpu, check };
}
