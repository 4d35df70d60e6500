/**
 * How times are measured: the contestants take turns, A B C A B C, so that other work on the machine affects all of them
 * alike; medians and quartiles; processor time in addition to elapsed time, if it is known. It does not know what it times.
 */
import type { Measured, Run } from './bench.ts';
import { countsNow, takePeak } from './watch.ts';

export interface Pace {
  /** The most and the fewest samples of each contestant, however long they take. */
  most: number;
  least: number;
  /** Milliseconds that all samples of a case may take together. */
  budget: number;
  /** Milliseconds that a sample should last: short work is started several times in one sample. */
  sample: number;
}

export const PACE: Pace = { most: 9, least: 3, budget: 8_000, sample: 20 };
export const QUICK_PACE: Pace = { most: 3, least: 1, budget: 500, sample: 1 };

/** A run in progress, with what its first start showed. */
export interface Entrant {
  name: string;
  run: Run;
  device: GPUDevice;
}

/** One that is warmed up, with its times so far. */
export interface Course extends Entrant {
  first: number;
  times: number[];
  cpus: number[];
  repeats: number;
  peakBytes: number;
  dispatches: number;
  submits: number;
}

/** Milliseconds of processor time of this process so far, all threads; undefined in a browser. */
function processorTime(): number | undefined {
  if (typeof process !== 'object' || typeof process.cpuUsage !== 'function') return undefined;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The first start of a run, which compiles, and a second one that shows how long it lasts and how much memory it holds. */
export async function warmUp(entrant: Entrant, pace: Pace): Promise<Course> {
  const { run, device } = entrant;
  takePeak(device);
  await run.renew?.();
  const begun = performance.now();
  await run.start();
  await run.finish();
  const first = performance.now() - begun;
  await run.renew?.();
  const before = countsNow();
  const again = performance.now();
  await run.start();
  await run.finish();
  const once = performance.now() - again;
  // A lazy library submits only when its result is awaited.
  const { dispatches, submits } = countsNow();
  return {
    ...entrant,
    first,
    times: [],
    cpus: [],
    repeats: run.renew ? 1 : Math.max(1, Math.min(64, Math.round(pace.sample / once))),
    peakBytes: takePeak(device),
    dispatches: dispatches - before.dispatches,
    submits: submits - before.submits,
  };
}

async function sample(course: Course): Promise<void> {
  const { run, repeats } = course;
  await run.renew?.();
  const cpu = processorTime();
  const begun = performance.now();
  for (let i = 0; i < repeats; i++) await run.start();
  await run.finish();
  course.times.push((performance.now() - begun) / repeats);
  if (cpu !== undefined) course.cpus.push((processorTime()! - cpu) / repeats);
}

/** Times all of them in turn. A contestant that alone has used up the budget is not started again. */
export async function race(courses: Course[], pace: Pace, signal?: AbortSignal): Promise<void> {
  const begun = performance.now();
  for (let round = 0; round < pace.most; round++) {
    if (round >= pace.least && performance.now() - begun > pace.budget) return;
    for (const course of courses) {
      signal?.throwIfAborted();
      const spent = course.repeats * course.times.reduce((sum, time) => sum + time, 0);
      if (round === 0 || spent < pace.budget) await sample(course);
    }
  }
}

export function measured(course: Course): Measured {
  const { times, cpus, first, peakBytes, dispatches, submits } = course;
  const median = medianOf(times);
  return {
    median,
    quartiles: [quantile(times, 0.25), quantile(times, 0.75)],
    cpu: cpus.length > 0 ? medianOf(cpus) : null,
    samples: times.length,
    first: Math.max(0, first - median),
    peakBytes,
    dispatches,
    submits,
  };
}

export function medianOf(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Interpolates linearly between neighbors. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  return below + (above - below) * (place - Math.floor(place));
}
