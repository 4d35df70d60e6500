/**
 * How long a kernel may loop. Mesa's llvmpipe ends every loop of a shader after 65,535 iterations of all its loops together,
 * nested ones and those of the functions it calls included, and says nothing: what a loop would still have added is missing.
 * So no kernel of ours makes more than {@link LOOP_LIMIT}, on any adapter, whatever the size of its data: rows are shared by
 * more threads, and what is longer still is done by several dispatches. Whether a device has such a limit is tried once, for
 * the sake of kernels that are not ours.
 */
import shader from '../../shaders/device/loops.wgsl';
import type { Gpu } from './device.ts';
import type { Constants } from './pipelines.ts';
import { wordsAfter } from './trial.ts';

/**
 * Iterations of all loops of a kernel together, where leaving a loop counts as one more. Half of what llvmpipe allows, because
 * it counts for several threads at once: all of them stay in a loop until the last one leaves it.
 */
export const LOOP_LIMIT = 32_768;

/** More than llvmpipe allows. */
const TRIED = 70_000;

/**
 * How far a loop of {@link TRIED} iterations comes on this device; undefined where it runs to its end. A device that does not
 * even compile it will say so at the first kernel.
 */
export async function loopEndsAfter(device: GPUDevice): Promise<number | undefined> {
  const words = await wordsAfter(device, { shader, entry: 'count', words: Uint32Array.of(TRIED, 0) });
  const count = words?.[1] ?? TRIED;
  return count === TRIED ? undefined : count;
}

/** Iterations for each number of a row that kernels make at most: they go over it three times, and a little. */
const PER_NUMBER = 4;
/** Threads that a workgroup may have on every device. */
export const MOST_THREADS = 256;

/**
 * Threads of a workgroup that share a row of `cols` numbers, each of which takes a thread so many iterations: as many as the
 * device likes best ({@link Gpu.rowThreads}), or for long rows as many as it takes to stay within the limit. That is a function
 * of the row's length alone, because it decides how sums are rounded. Throws a RangeError for a row that is too long even so.
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

/** The constants of a kernel whose workgroups share rows by `lib/row-share.wgsl`. */
export function sharingRows(gpu: Gpu, cols: number, perNumber = PER_NUMBER): Constants {
  const { rowThreads } = gpu;
  const threads = threadsOfRow(gpu, cols, perNumber);
  return threads > rowThreads ? { WORKGROUP: threads, TEAM: rowThreads } : { WORKGROUP: rowThreads };
}
