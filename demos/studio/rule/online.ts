/**
 * `node demos/studio/rule.mjs online [--seeds N] [--picks N] [--steps N] [--again] [--page]`: the same number of picks by a rule, learned
 * from afterwards, while picking, and by a reward model and RLOO; prints the first two at equal KL, keeps the figures and draws the page.
 * Adds missing results and repeats none that is stored: seeds, roads, β log Z. `--steps` shortens RLOO; `--page` draws the page of the
 * kept figures and trains nothing.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openTask } from './open.ts';
import { type Kept, pageOf, ROADS, type SeedFigures, summaryOf } from './page.ts';
import { offlinePath, onlinePath } from './paths.ts';
import { policyPath, ruleOptimum } from './policy-path.ts';

const HELD_OUT = 96;
/** β of objective (1) with the rule's own reward, by which all roads are judged. */
const RULE_BETA = 2;
const KEPT = 'docs/studio/online.json';
const PAGE = 'docs/studio-online.md';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    seeds: { type: 'string', default: '5' },
    picks: { type: 'string', default: '100' },
    steps: { type: 'string' },
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

const line = (run: SeedFigures) => {
  const ends = ROADS.flatMap(({ name, label }) => {
    const path = run[name];
    const last = path?.points.at(-1);
    return path && last
      ? [`${label} ${last.score.toFixed(2)} at KL ${last.kl.toFixed(2)} after ${path.steps} steps`]
      : [];
  });
  return `seed ${run.seed}: ${ends.join('; ')}`;
};

const earlier = await readKept();
if (values.page) {
  if (!earlier) throw new Error(`There is no ${KEPT}: run it without --page first.`);
  await keep(earlier);
  console.log(summaryOf(earlier.runs));
} else {
  const { gpu, adapter, task } = await openTask(HELD_OUT);
  const isSame = earlier?.picks === picks && !values.again;
  const kept: Kept = { adapter, picks, heldOut: HELD_OUT, ...(isSame ? earlier : { runs: [] }) };
  const pathTask = { ...task, picks };
  const steps = values.steps === undefined ? undefined : Number(values.steps);
  if (!kept.optimum) {
    kept.optimum = { beta: RULE_BETA, ...(await ruleOptimum(pathTask, RULE_BETA)) };
    await keep(kept);
  }
  for (let seed = 0; seed < Number(values.seeds); seed++) {
    let run = kept.runs.find((each) => each.seed === seed);
    if (!run) {
      run = { seed, offline: await offlinePath(pathTask, seed), online: await onlinePath(pathTask, seed) };
      kept.runs.push(run);
      await keep(kept);
    }
    if (!run.policy) {
      run.policy = await policyPath(pathTask, seed, steps);
      await keep(kept);
    }
    console.log(line(run));
  }
  console.log(summaryOf(kept.runs));
  gpu.dispose();
}
