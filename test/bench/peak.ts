/**
 * The speed of the adapter on the two simplest kernels, measured in the same run as everything else: multiplications and
 * additions in f32, and bytes read and written. Shares of the peak are shares of these, not of a data sheet.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { type Grid, kernels } from '../../src/gpu/kernel.ts';
import type { Peak } from './bench.ts';
import { numbers } from './inputs.ts';
import shader from './peak.wgsl';

const perVector: Grid = { threads: (p) => p.vectors };
const peakKernels = kernels(shader, { multiply_add: perVector, copy: perVector });

/** Operations of a round of `multiply_add` per thread. */
const FLOP = 64;
/** How long a run of either kernel should last, in milliseconds. */
const LEAST = 30;
const SAMPLES = 5;

export async function measurePeak(gpu: Gpu): Promise<Peak> {
  const { software } = gpu.adapter;
  const threads = software ? 2 ** 12 : 2 ** 18;
  // 32 MiB, larger than the caches of a CPU, or 256 MiB on a GPU.
  const bytes = software ? 2 ** 25 : 2 ** 28;
  const source = gpu.upload(numbers(1, 2 ** 20), 'source');
  const from = gpu.pool.allocate(bytes, 'from');
  const to = gpu.pool.allocate(bytes, 'to');
  gpu.recorder.copy(source, from, source.size);
  const vectors = bytes / 16;
  const best = async (start: () => void) => {
    const times: number[] = [];
    for (let i = 0; i <= SAMPLES; i++) {
      const begun = performance.now();
      start();
      await gpu.finish();
      if (i > 0) times.push(performance.now() - begun);
    }
    return Math.min(...times) / 1000;
  };
  let rounds = 64;
  const multiply = () =>
    peakKernels.multiply_add(gpu, { source: from, result: to }, { vectors: threads, rounds });
  let seconds = await best(multiply);
  while (seconds * 1000 < LEAST) {
    rounds *= Math.max(2, Math.ceil(LEAST / (seconds * 1000)));
    seconds = await best(multiply);
  }
  const copied = await best(() =>
    peakKernels.copy(gpu, { source: from, result: to }, { vectors, rounds: 0 }),
  );
  for (const view of [source, from, to]) gpu.pool.release(view);
  return { gflops: (threads * rounds * FLOP) / seconds / 1e9, gbytes: (2 * bytes) / copied / 1e9 };
}
