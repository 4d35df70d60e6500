/**
 * How long a page's main thread is busy: by the clock, as the page itself is told, and in time on the CPU, out of a trace
 * of the browser. The two differ where other processes want the same cores.
 */
import type { Page } from 'playwright';

declare global {
  var longTasks: number[];
}

/** Runs in the page before all else; its tasks of 50 ms and more are noted from then on. */
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
  /** Microseconds on the CPU. */
  tdur?: number;
  args: { name?: string };
}

/** Milliseconds on the CPU of every task of the pages' main threads, from a trace of the category `toplevel`. */
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
