/**
 * A deadline for work that depends on an untrusted file, enforced by a watchdog thread of Node: V8 can then interrupt even
 * a regular expression. Signals work during that time: Ctrl-C ends the work, and SIGTERM the process, by the system's
 * default handler.
 */
import { Script } from 'node:vm';
import { type Guard, useGuard } from '../data/stranger.ts';
import { InputError } from '../io/errors.ts';
import { strangerEnvironment } from './stranger-environment.ts';

const DEADLINE_MS = 60_000;

export interface DeadlineOptions {
  /** Maximum milliseconds for one text or one file's tokenizer; default: `$WEBALIGN_DEADLINE` seconds, or 60 000. */
  deadline?: number | undefined;
  /** The error thrown from the work on Ctrl-C; its listeners are not called. */
  interrupted?: (() => unknown) | undefined;
}

/** Enables the deadline for untrusted work in this process. Returns a function that disables it. */
export function guardStrangers(options: DeadlineOptions = {}): () => void {
  const before = useGuard(deadlineGuard(options));
  return () => void useGuard(before);
}

/** Only a call from a vm script can be interrupted. */
const WORK = Symbol.for('webalign.strangers-work');
const script = new Script("globalThis[Symbol.for('webalign.strangers-work')]()", { filename: 'deadline' });

export function deadlineGuard({
  deadline = strangerEnvironment().deadline ?? DEADLINE_MS,
  interrupted = () => new Error('Stopped by SIGINT.'),
}: DeadlineOptions): Guard {
  if (!(deadline > 0)) throw new InputError('deadline', `is ${deadline}`, 'Give a number above 0');
  // The watchdog has a resolution of one millisecond.
  const timeout = Math.min(Math.max(1, Math.round(deadline)), 2 ** 31 - 1);
  let isInside = false;
  const run = (work: () => void, where: () => string): void => {
    isInside = true;
    Object.assign(globalThis, { [WORK]: work });
    try {
      withDefault('SIGTERM', () =>
        script.runInThisContext({ timeout, breakOnSigint: true, displayErrors: false }),
      );
    } catch (error) {
      const { code } = Object(error) as { code?: unknown };
      if (code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') throw interrupted();
      if (code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      const what = `takes more than ${timeout / 1000} s, which may be caused by a regular expression of the model's tokenizer`;
      throw new InputError(where(), what, WAY_OUT);
    } finally {
      isInside = false;
      Reflect.deleteProperty(globalThis, WORK);
    }
  };
  return <T>(work: () => T, where: () => string): T => {
    if (isInside) return work();
    let result: { value: T } | undefined;
    run(() => {
      result = { value: work() };
    }, where);
    return (result as unknown as { value: T }).value;
  };
}

const WAY_OUT = 'If you trust its files, allow more time: WEBALIGN_DEADLINE (seconds)';

/** Runs work of unlimited duration that leaves no partial results: a signal ends the process immediately. */
export async function endedBySignals<T>(work: () => Promise<T>): Promise<T> {
  const restore = (['SIGINT', 'SIGTERM'] as const).map(suspend);
  try {
    return await work();
  } finally {
    for (const each of restore) each();
  }
}

function withDefault(signal: NodeJS.Signals, work: () => void): void {
  const restore = suspend(signal);
  try {
    work();
  } finally {
    restore();
  }
}

/** Removes the listeners of a signal, so that the system's default applies. Returns a function that restores them. */
function suspend(signal: NodeJS.Signals): () => void {
  const listeners = process.rawListeners(signal) as NodeJS.SignalsListener[];
  process.removeAllListeners(signal);
  return () => {
    for (const listener of listeners) process.on(signal, listener);
  };
}
