/**
 * `node demos/studio/rule.mjs online [--seeds N] [--picks N] [--again] [--page]`: the same number of picks by a rule, learned from
 * afterwards and while picking; prints both at equal KL, keeps the figures and draws the page. Goes on where an earlier call ended;
 * `--page` draws the page of the kept figures and trains nothing.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openTask } from './open.ts';
import { type Kept, pageOf, type SeedFigures, summaryOf } from './page.ts';
import { offlinePath, onlinePath } from './paths.ts';

const HELD_OUT = 96;
const KEPT = 'docs/studio/online.json';
const PAGE = 'docs/studio-online.md';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    seeds: { type: 'string', default: '5' },
    picks: { type: 'string', default: '100' },
    again: { type: 'boolean', default: false },
    page: { type: 'boolean', default: false },
  },
});
const picks = Number(values.picks);

/** What an earlier call with as many picks has kept. */
async function readKept(): Promise<Kept | undefined> {
  const text = await readFile(KEPT, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Kept);
}

async function keep(kept: Kept): Promise<void> {
  await mkdir('docs/studio', { recursive: true });
  await writeFile(KEPT, `${JSON.stringify(kept, null, 2)}\n`);
  await writeFile(PAGE, pageOf(kept));
}

const line = ({ seed, offline, online }: SeedFigures) => {
  const end = ({ points, steps }: SeedFigures['offline']) => {
    const last = points.at(-1);
    return `${last?.score.toFixed(2)} at KL ${last?.kl.toFixed(2)} after ${steps} steps`;
  };
  return `seed ${seed}: offline ${end(offline)}; online ${end(online)}`;
};

const earlier = await readKept();
if (values.page) {
  if (!earlier) throw new Error(`There is no ${KEPT}: run it without --page first.`);
  await keep(earlier);
  console.log(summaryOf(earlier.runs));
} else {
  const { gpu, adapter, task } = await openTask(HELD_OUT);
  const isSame = earlier?.picks === picks && !values.again;
  const kept: Kept = { adapter, picks, heldOut: HELD_OUT, runs: isSame ? earlier.runs : [] };
  for (let seed = 0; seed < Number(values.seeds); seed++) {
    if (!kept.runs.some((run) => run.seed === seed)) {
      const offline = await offlinePath({ ...task, picks }, seed);
      const online = await onlinePath({ ...task, picks }, seed);
      kept.runs.push({ seed, offline, online });
      await keep(kept);
    }
    console.log(line(kept.runs.find((run) => run.seed === seed) as SeedFigures));
  }
  console.log(summaryOf(kept.runs));
  gpu.dispose();
}
