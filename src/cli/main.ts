#!/usr/bin/env node
/**
 * `webalign` on the command line: signals and the process's end. The first Ctrl-C lets the command stop where it can
 * be taken up again, the second ends the program at once.
 */
import { guardStrangers } from '../node/deadline.ts';
import { EXIT, InterruptedError, type StopSignal } from './failures.ts';
import { packageVersion } from './package.ts';
import { runProgram } from './program.ts';

const stop = new AbortController();
const interrupted = () => {
  process.emit('SIGINT', 'SIGINT');
  return stop.signal.reason;
};
guardStrangers({ interrupted });
for (const signal of ['SIGINT', 'SIGTERM'] as const satisfies StopSignal[]) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(EXIT[signal]);
    stop.abort(new InterruptedError(signal));
  });
}

// Whoever reads may have read enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
);

const code = await runProgram(process.argv.slice(2), { signal: stop.signal, version: packageVersion });
// The device may still have work under way, which would keep the process alive.
process.exit(code);
