#!/usr/bin/env node
/**
 * The `webalign` command line: signals and the exit of the process. The first Ctrl-C stops the command at a point where it
 * can be resumed, the second ends the process immediately.
 */

import { EXIT, InterruptedError, type StopSignal } from './cli/failures.ts';
import { packageVersion } from './cli/package.ts';
import { runProgram } from './cli/program.ts';
import { guardStrangers } from './node/deadline.ts';
import { STUDIES } from './studies/commands.ts';

const stop = new AbortController();
const SIGNALS = ['SIGINT', 'SIGTERM'] as const satisfies StopSignal[];

function stopOn(signal: StopSignal): void {
  // The system handles the next one: it ends the process immediately, even if a read hangs. `process.exit` would wait for
  // that read.
  for (const each of SIGNALS) process.off(each, stopOn);
  stop.abort(new InterruptedError(signal));
}
for (const signal of SIGNALS) process.on(signal, stopOn);
guardStrangers({
  interrupted: () => {
    stopOn('SIGINT');
    return stop.signal.reason;
  },
});

// The reader may close the pipe early, like `head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
);

const code = await runProgram(process.argv.slice(2), {
  signal: stop.signal,
  version: packageVersion,
  studies: STUDIES,
});
// The device may still have work in progress, which would keep the process alive.
process.exit(code);
