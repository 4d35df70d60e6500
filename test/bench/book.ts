/**
 * What has been measured on one adapter, case by case: a later run replaces what it measures again and leaves the rest, so
 * that a long bench can be run in pieces. Plain data.
 */
import type { AdapterReport } from '../../src/gpu/adapter.ts';
import type { Peak, Result } from './bench.ts';
import type { BenchEvent } from './suite.ts';

export interface Book {
  /** Of the last run: Node's version or the browser's. */
  where: string;
  date: string;
  adapter: AdapterReport;
  peak: Peak;
  /** Versions of the peers, by name. */
  peers: Record<string, string>;
  results: Record<string, Result>;
  facts: Record<string, Record<string, number>>;
  /** Milliseconds of libraries on the processor, by case and library. */
  processor?: Record<string, Record<string, number>>;
  /** What was not run, and why. */
  leftOut: Record<string, string>;
  /** What a reader must know about results of different runs, written by hand. */
  notes?: string[];
}

function higher(a: Peak, b: Peak = a): Peak {
  return { gflops: Math.max(a.gflops, b.gflops), gbytes: Math.max(a.gbytes, b.gbytes) };
}

/** The book with one more event of a run. */
export function noted(
  book: Book | undefined,
  event: BenchEvent,
  where: string,
  date: string,
): Book | undefined {
  if (event.type === 'adapter') {
    const { adapter } = event;
    const peers = Object.fromEntries(event.peers.map(({ name, version }) => [name, version]));
    const { results = {}, facts = {}, leftOut = {}, processor, notes } = book ?? {};
    // Other programs can only lower a measured peak, so the highest one is the most accurate.
    const peak = higher(event.peak, book?.peak);
    return {
      where,
      date,
      adapter,
      peak,
      peers: { ...book?.peers, ...peers },
      results,
      facts,
      leftOut,
      ...(processor && { processor }),
      ...(notes && { notes }),
    };
  }
  if (!book) return undefined;
  const { results, facts, leftOut } = book;
  if (event.type === 'result') {
    const { id } = event.result;
    // A run without peers keeps the peers' results of earlier runs.
    results[id] = { ...event.result, by: { ...results[id]?.by, ...event.result.by } };
    delete leftOut[id];
  }
  if (event.type === 'processor') {
    book.processor ??= {};
    book.processor[event.id] = { ...book.processor[event.id], [event.by]: event.milliseconds };
  }
  if (event.type === 'fact') facts[event.id] = event.values;
  if (event.type === 'left out') leftOut[event.id] = event.reason;
  return book;
}
