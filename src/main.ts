#!/usr/bin/env node
/**
 * `webalign` on the command line: signals and the process's end. The first Ctrl-C lets the command stop where it can
 * be taken up again, the second ends the program at once.
 */

import { EXIT, InterruptedError, type StopSignal } from './cli/failures.ts';
import { packageVersion } from './cli/package.ts';
import { runProgram } from './cli/program.ts';
import { guardStrangers } from './node/deadline.ts';
import { STUDIES } from './studies/commands.ts';

const stop = new AbortController();
const SIGNALS = ['SIGINT', 'SIGTERM'] as const satisfies StopSignal[];

function stopOn(signal: StopSignal): void {
  // The next one is the system's to handle: it ends the process at once, even where a read hangs. `process.exit` would wait
  // for that read.
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

// Whoever reads may have read enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
);

const code = await runProgram(process.argv.slice(2), {
  signal: stop.signal,
  version: packageVersion,
  studies: STUDIES,
});
// The device may still have work under way, which would keep the process alive.
process.exit(code);
