/**
 * How many iterations a kernel may make. Mesa's llvmpipe counts the iterations of all loops of a shader together, nested loops
 * and called functions included, ends every loop after 65,535, and reports no error: results are silently incomplete. Our
 * kernels stay below {@link LOOP_LIMIT} on every adapter, whatever the size of the data: longer rows get more threads, and
 * longer sums take several dispatches. A trial finds out whether a device has such a limit, because users' kernels may not
 * stay below it.
 */
import shader from '../../shaders/device/loops.wgsl';
import type { Gpu } from './device.ts';
import type { Constants } from './pipelines.ts';
import { wordsAfter } from './trial.ts';

/**
 * Most iterations of a kernel, all loops together; leaving a loop counts as one. This is half of llvmpipe's limit, because
 * llvmpipe counts for a vector of threads, which stays in a loop until its last thread leaves.
 */
export const LOOP_LIMIT = 32_768;

/** Above llvmpipe's limit. */
const TRIED = 70_000;

/**
 * Runs a loop of {@link TRIED} iterations and returns how many the device made, or undefined if it made all of them. Also
 * undefined if the shader does not compile: the first kernel reports that.
 */
export async function loopEndsAfter(device: GPUDevice): Promise<number | undefined> {
  const words = await wordsAfter(device, { shader, entry: 'count', words: Uint32Array.of(TRIED, 0) });
  const count = words?.[1] ?? TRIED;
  return count === TRIED ? undefined : count;
}

/** Upper bound of a kernel's iterations per number of a row. Kernels read a row at most three times; the rest is overhead. */
const PER_NUMBER = 4;
/** Workgroup size that every device supports. */
export const MOST_THREADS = 256;

/**
 * Threads of the workgroup that reduces a row of `cols` numbers: {@link Gpu.rowThreads}, or for long rows the smallest power of
 * two times that which keeps the kernel within the limit. It depends on the length of the row only, because it decides the order
 * of sums. Throws a RangeError if the row is too long for the largest workgroup.
 */
export function threadsOfRow(
  { rowThreads, loopLimit }: Pick<Gpu, 'rowThreads' | 'loopLimit'>,
  cols: number,
  perNumber = PER_NUMBER,
): number {
  const most = (threads: number) => Math.floor((threads * loopLimit) / perNumber);
  let threads = rowThreads;
  while (cols > most(threads) && threads < MOST_THREADS) threads *= 2;
  if (cols <= most(threads)) return threads;
  throw new RangeError(
    `a row of ${cols} numbers is too long for a workgroup, which takes at most ${most(threads)}. Cut it into shorter rows.`,
  );
}

/** Constants of a kernel that uses `lib/row-share.wgsl`. */
export function sharingRows(gpu: Gpu, cols: number, perNumber = PER_NUMBER): Constants {
  const { rowThreads } = gpu;
  const threads = threadsOfRow(gpu, cols, perNumber);
  return threads > rowThreads ? { WORKGROUP: threads, TEAM: rowThreads } : { WORKGROUP: rowThreads };
}
