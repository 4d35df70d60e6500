/**
 * The parts of a soak: each repeats a try until its number or its time is reached. A failed try is described in a sentence;
 * the soak continues, so that one error does not hide another.
 */
import type { Random } from '../reference/compare.ts';

export interface Context {
  random: Random;
  /** Whether a try should be as short as possible. */
  slice: boolean;
  /** A folder for this part alone. */
  folder: string;
  /** The bundles of `test/soak`, by name. */
  bundle: (name: string) => string;
  log(line: string): void;
}

export interface Part {
  name: string;
  /** A try, as described in its row of the table. */
  what: string;
  /** The tries of a whole soak, and those of a slice, which runs with the tests. */
  tries: { whole: number; slice: number };
  /** Prepares the first try; returns the function that makes a try. */
  begin(context: Context): Promise<Attempt>;
}

export interface Attempt {
  /** One try, or several that only count together. Returns how many, and a sentence for each failed one. */
  attempt(): Promise<{ tries: number; failures: string[] }>;
  /** Figures of all tries so far, for the table. */
  figures(): Record<string, number | string>;
  end?(): Promise<void>;
}

/** The stored result of a part. */
export interface PartResult {
  what: string;
  seed: number;
  machine: string;
  wanted: number;
  tries: number;
  failures: string[];
  seconds: number;
  figures: Record<string, number | string>;
}

/** A random one of the items. */
export function anyOf<Item>(items: readonly Item[], random: Random): Item {
  return items[random.int(items.length)];
}
