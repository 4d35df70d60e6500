/**
 * What a soak is made of: parts that repeat a try until their number or their time is up. A try that goes wrong is a sentence;
 * the soak goes on, so that one fault does not hide another.
 */
import type { Random } from '../reference/compare.ts';

export interface Context {
  random: Random;
  /** Whether a try is to be as short as it can be. */
  slice: boolean;
  /** A folder for the part alone. */
  folder: string;
  /** The bundles of `test/soak`, by name. */
  bundle: (name: string) => string;
  log(line: string): void;
}

export interface Part {
  name: string;
  /** A try, as a row of the table says it. */
  what: string;
  /** The tries of a whole soak, and those of a slice, which runs with the tests. */
  tries: { whole: number; slice: number };
  /** Does something before the first try; returns what does a try. */
  begin(context: Context): Promise<Attempt>;
}

export interface Attempt {
  /** One try, or several that only count together. Returns how many, and a sentence for each that went wrong. */
  attempt(): Promise<{ tries: number; failures: string[] }>;
  /** Figures of all tries so far, for the table. */
  figures(): Record<string, number | string>;
  end?(): Promise<void>;
}

/** What is kept of a part. */
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

/** Which of so many, at random. */
export function anyOf<Item>(items: readonly Item[], random: Random): Item {
  return items[random.int(items.length)] as Item;
}
