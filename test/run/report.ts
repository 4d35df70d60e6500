/**
 * Prints a run: a line for each file with how many tests passed, every skipped test by name, every failure in full; and
 * counts them.
 */
import type { TestEvent } from './harness.ts';

export class Report {
  readonly counts = { pass: 0, fail: 0, skip: 0 };
  private file = '';
  private passed = 0;
  private milliseconds = 0;
  private failures: TestEvent[] = [];
  /** The time of the last event, from `Date.now()`. */
  lastEvent = Date.now();

  constructor(private readonly world: string) {}

  readonly add = (event: TestEvent): void => {
    this.lastEvent = Date.now();
    this.counts[event.kind]++;
    if (event.file !== this.file) this.endFile();
    this.file = event.file;
    if (event.kind === 'pass') {
      this.passed++;
      this.milliseconds += event.milliseconds;
    } else if (event.kind === 'skip') {
      this.line(event.file, `skipped: ${event.title}`);
    } else {
      this.failures.push(event);
      this.line(event.file, `FAILED: ${event.title}\n${event.error.replace(/^/gm, '    ')}`);
    }
  };

  /** Prints what is still held back, and the failures again by name. */
  end(): void {
    this.endFile();
    for (const { file, title } of this.failures) this.line(file, `FAILED: ${title}`);
  }

  private endFile(): void {
    if (this.passed > 0)
      this.line(this.file, `${this.passed} passed, ${(this.milliseconds / 1000).toFixed(1)} s`);
    this.passed = 0;
    this.milliseconds = 0;
  }

  private line(file: string, text: string): void {
    console.log(`${this.world.padEnd(9)} ${file.replace(/\.test\.ts$/, '').padEnd(34)} ${text}`);
  }
}
