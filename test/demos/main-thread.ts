/**
 * How long a page's main thread is busy: in elapsed time, as the page itself measures it, and in CPU time, from a trace of
 * the browser. The two differ when other processes use the same cores.
 */
import type { Page } from 'playwright';

declare global {
  var longTasks: number[];
}

/** Runs in the page before everything else; from then on its tasks of 50 ms and more are recorded. */
export function recordLongTasks(): void {
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    globalThis.longTasks.push(...list.getEntries().map(({ duration }) => duration));
  }).observe({ type: 'longtask', buffered: true });
}

/** Milliseconds of the long tasks since the last call. */
export function takeLongTasks(page: Page): Promise<number[]> {
  return page.evaluate(() => globalThis.longTasks.splice(0));
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** Microseconds of CPU time. */
  tdur?: number;
  args: { name?: string };
}

/** Milliseconds of CPU time of every task of the pages' main threads, from a trace of the category `toplevel`. */
export function cpuTimes(trace: Buffer): number[] {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] };
  const threads = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(
      ({ name, ph, pid, tid }) => ph === 'X' && name.endsWith('RunTask') && threads.has(`${pid} ${tid}`),
    )
    .map(({ tdur = 0 }) => tdur / 1000);
}
