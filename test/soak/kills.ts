/** A run that is killed repeatedly and resumed each time ends with the same bytes as an undisturbed one. */
import { stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { Part } from './part.ts';
import { adapterHash, argumentsOf, litter, openWorkshop, RUNS } from './runs.ts';

/** Kills of one run; after them it may finish. */
const MOST_KILLS = { whole: 4, slice: 1 };

export const kills: Part = {
  name: 'kills',
  what: 'a kill at a random moment of a run, which is then resumed to the same bytes',
  tries: { whole: 100, slice: 1 },
  async begin({ random, slice, log }) {
    const most = slice ? MOST_KILLS.slice : MOST_KILLS.whole;
    const workshop = await openWorkshop();
    const names = Object.keys(RUNS);
    const whole = new Map<string, { hash: string; milliseconds: number }>();
    let [at, runs, inTime] = [random.int(names.length), 0, 0];

    const baseline = async (name: string) => {
      const known = whole.get(name);
      if (known) return known;
      const start = performance.now();
      const { code, stderr } = await workshop.spawn(argumentsOf(workshop, name, `whole-${name}`));
      if (code !== 0) throw new Error(`${name} does not run: ${stderr.slice(-400)}`);
      const hash = await adapterHash(workshop.path(`whole-${name}`));
      const result = { hash, milliseconds: performance.now() - start };
      whole.set(name, result);
      return result;
    };
    /**
     * Half of the moments are anywhere in the run, half of them just after a checkpoint was written; in a slice all are just
     * after a checkpoint, so that each counts.
     */
    const moment = (out: string, milliseconds: number) =>
      !slice && random.uniform() < 0.5
        ? wait(random.uniform() * milliseconds)
        : nextSave(out, milliseconds).then(() => wait(random.uniform() * 100));

    return {
      async attempt() {
        const name = names[at++ % names.length];
        const { hash, milliseconds } = await baseline(name);
        const out = workshop.path(`killed-${runs++}`);
        const failures: string[] = [];
        let killed = 0;
        for (let tries = 0; ; tries++) {
          const { code, stderr } = await workshop.spawn(argumentsOf(workshop, name, out, '--resume'), {
            onStart: (child) => {
              if (tries < most) void moment(out, milliseconds).then(() => child.kill('SIGKILL'));
            },
          });
          if (code === null) killed++;
          else if (code !== 0) {
            failures.push(`${name}, after ${killed} kills: ${stderr.slice(-400)}`);
            break;
          }
          if (code !== 0) continue;
          if ((await adapterHash(out)) !== hash) failures.push(`${name}, after ${killed} kills: other bytes`);
          const left = await litter(out);
          if (left.length > 0) failures.push(`${name}, after ${killed} kills: left ${left.join(', ')}`);
          break;
        }
        inTime += killed;
        log(`kills: ${name} ${killed}`);
        return { tries: killed, failures };
      },
      figures: () => ({ runs, 'kills in time': inTime, trainers: [...whole.keys()].join(' ') }),
      end: () => workshop.close(),
    };
  },
};

async function nextSave(out: string, patience: number): Promise<void> {
  const saved = () =>
    stat(`${out}/checkpoint.safetensors`)
      .then(({ mtimeMs }) => mtimeMs)
      .catch(() => 0);
  const before = await saved();
  for (const end = Date.now() + patience; (await saved()) === before && Date.now() < end; ) await wait(5);
}
