/** What runs the suite: a runtime with a WebGPU of its own. */
import type { HarnessOptions } from '../harness.ts';
import type { Report } from '../report.ts';

export interface World {
  /** Whether it runs what needs Node: files, processes, pages that are driven from outside. */
  isNode?: boolean;
  /**
   * Whether a whole run gives it all files. The other worlds get a slice of them, another one each day, where they are installed.
   */
  isWhole: boolean;
  /** Why it cannot run here, with the way out; undefined where it can. */
  missing?(): Promise<string | undefined>;
  /**
   * Runs test files, relative to `test/`, in order, and reports each event. Rejects when the world breaks off, with a
   * {@link MissingWorldError} if it cannot begin.
   */
  run(files: readonly string[], report: Report, options: HarnessOptions): Promise<void>;
}

/** A world is not installed, or has no adapter. */
export class MissingWorldError extends Error {}
