/**
 * How a command ends after an error: the exit code and the message for each kind of error. Expected errors
 * are shown without a stack trace; any other error is reported as a bug in webalign.
 */
import type { Wording } from '../base/sentence.ts';
import { GpuError } from '../gpu/errors.ts';
import { InputError } from '../io/errors.ts';
import { MissingPackageError } from '../node/packages.ts';
import { NonFiniteLossError } from '../train/errors.ts';

/** Exit codes, as shells know them. */
export const EXIT = { done: 0, failed: 1, usage: 2, SIGINT: 130, SIGTERM: 143 } as const;
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Flags or arguments that do not fit together; the message names them. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The user or the system stopped the program. The message says what has been saved. */
export class InterruptedError extends Error {
  override name = 'InterruptedError';
  constructor(
    readonly signal: StopSignal,
    message = `Stopped by ${signal}.`,
  ) {
    super(message);
  }
}

const EXPECTED = [
  InputError,
  GpuError,
  NonFiniteLossError,
  UsageError,
  InterruptedError,
  MissingPackageError,
];

/** Exit code and message; `word` turns names of settings into the names to print. */
export function failureOf(
  error: unknown,
  word: Wording,
): { code: number; name: string; message: string; stack: string } {
  const { name, message: plain, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const message = error instanceof InputError ? error.worded(word) : plain;
  const isExpected = EXPECTED.some((kind) => error instanceof kind);
  return {
    code: exitCode(error),
    name,
    message: isExpected ? message : `${message} (an error of webalign itself; --debug shows where)`,
    stack,
  };
}

function exitCode(error: unknown): number {
  if (error instanceof InterruptedError) return EXIT[error.signal];
  return error instanceof UsageError ? EXIT.usage : EXIT.failed;
}
