/** A server that loads, trains, generates and disposes for a day uses no more memory than after ten rounds. Linux only. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Part } from './part.ts';

const MIB = 2 ** 20;
const MOST_GROWTH = 32 * MIB;
/** Caches are full by then, as far as they ever are. */
const FIRST = 10;

interface Held {
  bytes: number;
  threads: number;
  descriptors: number;
}

/** As many cycles as there is time for, divided among several processes, so that a soak can end between them. */
export const cycles = (count: number): Part => ({
  name: 'cycles',
  what: `load, train, generate, dispose: at most ${MOST_GROWTH / MIB} MiB above the tenth, equal threads and descriptors`,
  tries: { whole: count, slice: 12 },
  async begin({ bundle, log }) {
    const held: Held[] = [];
    let process_: ReturnType<typeof spawn> | undefined;
    let lines: AsyncIterableIterator<string> | undefined;
    return {
      async attempt() {
        if (!process_) {
          process_ = spawn(process.execPath, [bundle('cycle'), String(count)], {
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          lines = createInterface({ input: process_.stdout! })[Symbol.asyncIterator]();
        }
        const { done, value } = await lines!.next();
        if (done) return { tries: 1, failures: ['the process ended early'] };
        const now = JSON.parse(value) as Held;
        held.push(now);
        if (held.length % 20 === 0) log(`cycles: ${held.length}, ${(now.bytes / MIB).toFixed(0)} MiB`);
        const tenth = held[FIRST - 1];
        const failures: string[] = [];
        if (tenth && now.bytes > tenth.bytes + MOST_GROWTH)
          failures.push(
            `cycle ${held.length}: ${((now.bytes - tenth.bytes) / MIB).toFixed(1)} MiB above the tenth`,
          );
        for (const what of ['threads', 'descriptors'] as const)
          if (tenth && now[what] !== tenth[what])
            failures.push(`cycle ${held.length}: ${now[what]} ${what}, ${tenth[what]} after the tenth`);
        return { tries: 1, failures };
      },
      figures: () => {
        const mib = (of: Held | undefined) => (of ? Number((of.bytes / MIB).toFixed(1)) : '–');
        const most = Math.max(...held.slice(FIRST).map(({ bytes }) => bytes), 0);
        const last = held.at(-1);
        return {
          'MiB after the tenth': mib(held[FIRST - 1]),
          'MiB at most since': Number((most / MIB).toFixed(1)),
          'MiB after the last': mib(last),
          threads: last?.threads ?? '–',
          descriptors: last?.descriptors ?? '–',
        };
      },
      end: async () => {
        if (!process_ || process_.exitCode !== null) return;
        process_.kill('SIGKILL');
        await once(process_, 'exit');
      },
    };
  },
});
