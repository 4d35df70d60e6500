/**
 * Runs test files under mocha and reports the result of each test. The code is the same in Node and in a page, so that a
 * suite means the same in both; it neither prints nor counts.
 */
import { config } from 'chai';
import type { Capabilities } from '../../src/testing/narrowed.ts';

// Lists in a failure are shown in full, not as [ …(3) ].
config.truncateThreshold = 4000;

export type TestEvent = { file: string; title: string } & (
  | { kind: 'pass'; milliseconds: number }
  | { kind: 'skip' }
  | { kind: 'fail'; error: string }
);

declare global {
  /** Kernel variants that all devices of the tests use, if a kernel has one of the name. */
  var testVariants: readonly string[] | undefined;
  /** What the tests' devices may have of what the adapter offers. */
  var testCapabilities: Capabilities | undefined;
}

export interface HarnessOptions {
  /** Text that the full title must contain. */
  grep?: string | undefined;
  /** Kernel variants for the tests' devices: `testVariants`. */
  variants?: readonly string[] | undefined;
  /** What the tests' devices may have: `testCapabilities`. */
  capabilities?: Capabilities | undefined;
  /** Milliseconds a test may take unless it says otherwise. Generous: a software adapter is slow. */
  timeout: number;
}

/** Runs the files in order; `load` imports one. Resolves when the last test has ended. */
export async function runFiles(
  MochaClass: typeof Mocha,
  files: readonly string[],
  load: (file: string) => Promise<unknown>,
  emit: (event: TestEvent) => void,
  { grep, variants, capabilities, timeout }: HarnessOptions,
): Promise<void> {
  globalThis.testVariants = variants;
  globalThis.testCapabilities = capabilities;
  const mocha = new MochaClass({
    ui: 'bdd',
    reporter: MochaClass.reporters.Base,
    timeout,
    forbidOnly: true,
    ...(grep && { fgrep: grep }),
  });
  for (const file of files) {
    // Gives the file `describe` and `it`, and records its name in every test.
    mocha.suite.emit('pre-require', globalThis, file, mocha);
    try {
      await load(file);
    } catch (error) {
      emit({ kind: 'fail', file, title: 'loading the file', error: describeError(error) });
    }
  }
  await new Promise<void>((resolve) => {
    const runner = mocha.run(() => {
      // Otherwise mocha's own listeners would end the process because of a late error.
      runner.dispose();
      resolve();
    });
    const where = (test: Mocha.Runnable) => ({
      file: test.file ?? test.parent?.file ?? '',
      title: test.fullTitle(),
    });
    runner.on('pass', (test) => emit({ kind: 'pass', ...where(test), milliseconds: test.duration ?? 0 }));
    runner.on('pending', (test) => emit({ kind: 'skip', ...where(test) }));
    runner.on('fail', (test, error) => emit({ kind: 'fail', ...where(test), error: describeError(error) }));
  });
}

/** Message and stack; chai's expected and actual values are in its message. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? '';
  return stack.includes(error.message) ? stack : `${error.name}: ${error.message}\n${stack}`;
}

/** An error that no test caught, as a failure of the run. */
export function stray(error: unknown): TestEvent {
  return {
    kind: 'fail',
    file: 'the run',
    title: 'an error outside of any test',
    error: describeError(error),
  };
}
