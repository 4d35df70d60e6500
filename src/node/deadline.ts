/**
 * A deadline for work that a stranger's file decides on, by a thread of Node's that watches it: V8 then leaves even a regular
 * expression. Signals are heard meanwhile: Ctrl-C ends the work, and SIGTERM the process, by the system's own hand.
 */
import { Script } from 'node:vm';
import { type Guard, useGuard } from '../data/stranger.ts';
import { InputError } from '../io/errors.ts';
import { strangerEnvironment } from './stranger-environment.ts';

const DEADLINE_MS = 60_000;

export interface DeadlineOptions {
  /** Milliseconds for one text or one file's tokenizer; `$WEBALIGN_DEADLINE` seconds, else 60 000. */
  deadline?: number | undefined;
  /** What Ctrl-C throws out of the work; its listeners do not hear of it then. */
  interrupted?: (() => unknown) | undefined;
}

/** Gives strangers' work a deadline in this process. Returns what takes it away again. */
export function guardStrangers(options: DeadlineOptions = {}): () => void {
  const before = useGuard(deadlineGuard(options));
  return () => void useGuard(before);
}

/** Only what a script calls can be ended. */
const WORK = Symbol.for('webalign.strangers-work');
const script = new Script("globalThis[Symbol.for('webalign.strangers-work')]()", { filename: 'deadline' });

export function deadlineGuard({
  deadline = strangerEnvironment().deadline ?? DEADLINE_MS,
  interrupted = () => new Error('Stopped by SIGINT.'),
}: DeadlineOptions): Guard {
  if (!(deadline > 0)) throw new InputError('deadline', `is ${deadline}`, 'Give a number above 0');
  // The watching thread counts in whole milliseconds.
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
      const what = `takes more than ${timeout / 1000} s, which a regular expression of the model's tokenizer may do`;
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

const WAY_OUT = 'If you trust its files, allow more: WEBALIGN_DEADLINE (seconds)';

/** Work that takes as long as it takes, and leaves nothing behind that is half done: a signal ends the process at once. */
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

/** Without its listeners a signal does what the system does. Returns what puts them back. */
function suspend(signal: NodeJS.Signals): () => void {
  const listeners = process.rawListeners(signal) as NodeJS.SignalsListener[];
  process.removeAllListeners(signal);
  return () => {
    for (const listener of listeners) process.on(signal, listener);
  };
}
