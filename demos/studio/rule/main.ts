/**
 * `node demos/studio/rule.mjs`: a rule plays the user on several seeds; prints what came of each and keeps the figures. Goes on where an
 * earlier call ended; `--again` plays all seeds anew.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { estimate } from '../../../src/cli/statistics.ts';
import { openTask } from './open.ts';
import { type Figures, play } from './user.ts';

const SEEDS = 5;
const HELD_OUT = 160;
const KEPT = 'demos/studio/rule/figures.json';

/** Seeds that an earlier call has played. */
async function keptRuns(): Promise<Figures[]> {
  const text = await readFile(KEPT, 'utf8').catch(() => undefined);
  return text === undefined ? [] : (JSON.parse(text) as { runs: Figures[] }).runs;
}

const line = ({
  seed,
  picks,
  ties,
  pairs,
  steps,
  before,
  after,
  rise,
  standardError,
  samples,
  seconds,
}: Figures) =>
  [
    `seed ${seed}: ${picks} picks, ${ties} ties, ${steps} steps on ${pairs} pairs`,
    `score ${before.toFixed(2)} → ${after.toFixed(2)}, ${(rise / standardError).toFixed(1)} standard errors`,
    `fluency ${samples.before.fluency.toFixed(2)} → ${samples.after.fluency.toFixed(2)}`,
    `distinct-3 ${samples.before.distinct3.toFixed(3)} → ${samples.after.distinct3.toFixed(3)}`,
    `${(seconds.picks + seconds.training + seconds.stories).toFixed(0)} s (${seconds.picks.toFixed(0)} picking, ${seconds.training.toFixed(0)} training)`,
  ].join('; ');

const { gpu, adapter, task } = await openTask(HELD_OUT);
const { heldOut, prompts } = task;
console.log(`${heldOut.length} held-out prompts, ${prompts.length} to pick on; ${adapter}`);
const keep = (runs: readonly Figures[]) => writeFile(KEPT, `${JSON.stringify({ adapter, runs }, null, 2)}\n`);
const runs = process.argv.includes('--again') ? [] : await keptRuns();
for (let seed = 0; seed < SEEDS; seed++) {
  let figures = runs.find((run) => run.seed === seed);
  if (!figures) {
    figures = await play(task, seed);
    runs.push(figures);
    await keep(runs);
  }
  console.log(line(figures));
  for (const sentence of figures.advice) console.log(`  ${sentence}`);
}
const rises = estimate(runs.map(({ rise }) => rise));
console.log(
  `mean rise ${rises.mean.toFixed(2)} ± ${rises.standardError.toFixed(2)} over seeds, ${(rises.mean / rises.standardError).toFixed(1)} standard errors`,
);
gpu.dispose();
