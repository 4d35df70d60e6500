/**
 * Test files in a process of another runtime, or with another environment. Its events are lines of standard output behind
 * {@link MARK}; what else it prints is shown. A file gets its own process, so that one that breaks off costs only itself.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { HarnessOptions, TestEvent } from '../harness.ts';
import type { Report } from '../report.ts';

export const MARK = '@test ';

/** What `test/run/worlds/child-main.ts` reads from its last argument. */
export interface ChildTask {
  file: string;
  options: HarnessOptions;
}

export interface Program {
  command: string;
  /** Before the script. */
  args: readonly string[];
  env: NodeJS.ProcessEnv;
}

const SCRIPT = 'dist/test/node/run/worlds/child-main.js';

/** Runs each file in its own process of the program. */
export async function runInChildren(
  { command, args, env }: Program,
  files: readonly string[],
  report: Report,
  options: HarnessOptions,
): Promise<void> {
  for (const file of files) {
    const task = JSON.stringify({ file, options } satisfies ChildTask);
    const child = spawn(command, [...args, SCRIPT, task], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let last = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      last = (last + text).slice(-4000);
    });
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith(MARK)) report.add(JSON.parse(line.slice(MARK.length)) as TestEvent);
      else console.log(line);
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    if (child.exitCode !== 0)
      report.add({
        kind: 'fail',
        file,
        title: 'the process ended unexpectedly',
        error: `It ended with ${child.signalCode ?? `exit code ${child.exitCode}`}.\n${last}`,
      });
  }
}
