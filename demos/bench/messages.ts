/**
 * The interface between the page and its worker: plain data on both sides.
 */
import type { AdapterReport } from 'webalign/gpu';
import type { Book } from '../../test/bench/book.ts';
import type { BenchEvent } from '../../test/bench/suite.ts';

/** A group of cases. */
export interface Group {
  name: string;
  cases: number;
  /** Number of cases in a quick run. */
  quick: number;
}

export interface Opened {
  adapter: AdapterReport;
  groups: Group[];
}

export interface Choice {
  /** Names of groups. */
  groups: string[];
  quick: boolean;
}

export type Listener = (event: BenchEvent, book: Book | undefined) => void;

export interface BenchWorker {
  /** Rejects if there is no adapter. */
  open(): Promise<Opened>;
  /** Runs the selected cases; resolves when they are done or stopped. */
  run(choice: Choice, listener: Listener): Promise<void>;
  /** Stops after the current case. */
  stop(): void;
}
