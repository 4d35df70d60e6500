/** The page of the comparison of online and offline learning, from kept figures. */
import { counted } from '../../../src/base/counted.ts';
import { estimate } from '../../../src/cli/statistics.ts';
import { LEAST_EFFECTIVE, type Optimum } from '../../shared/policy-run.ts';
import { atEqualKl } from './equal-kl.ts';
import type { Path } from './paths.ts';
import type { PolicyPath } from './policy-path.ts';

export interface SeedFigures {
  seed: number;
  offline: Path;
  online: Path;
  /** Reward model and RLOO; absent until the command has added it. */
  policy?: PolicyPath;
}

/** Ways of learning from the same number of picks. */
export const ROADS = [
  { name: 'offline', label: 'offline DPO' },
  { name: 'online', label: 'online DPO' },
  { name: 'policy', label: 'reward model and RLOO' },
] as const;

type Road = (typeof ROADS)[number]['name'];

const pathsOf = (runs: readonly SeedFigures[], road: Road): (Path | PolicyPath)[] =>
  runs.flatMap((run) => run[road] ?? []);

/** What the command keeps. */
export interface Kept {
  adapter: string;
  /** Picks that teach, in each run. */
  picks: number;
  /** Prompts that are only written to. */
  heldOut: number;
  /** β log Z of the rule's own reward, at least so much. */
  optimum?: Optimum & { beta: number };
  runs: SeedFigures[];
}

/** One seed says nothing of the spread between seeds. */
function overSeeds(values: readonly number[]) {
  const { mean, standardError } = estimate(values);
  return { mean, standardError: values.length > 1 ? standardError : Number.NaN };
}

/** Online beyond offline at the KL that both reach, over seeds, and whether it is at least offline − 1 standard error. */
export function differenceOf(runs: readonly SeedFigures[]) {
  const found = runs.map(({ online, offline }) => atEqualKl(online.points, offline.points));
  const { mean, standardError } = overSeeds(found.map(({ difference }) => difference));
  const kl = estimate(found.map((each) => each.kl)).mean;
  return { kl, mean, standardError, isAsGood: mean >= -(standardError || 0) };
}

/** A mean with its standard error, where there is one. */
const withError = (mean: number, error: number) =>
  `${mean.toFixed(2).replace('-', '−')}${Number.isFinite(error) ? ` ± ${error.toFixed(2)}` : ''}`;

export function summaryOf(runs: readonly SeedFigures[]): string {
  const { kl, mean, standardError, isAsGood } = differenceOf(runs);
  const verdict = isAsGood ? 'at least offline − 1 standard error' : 'below offline − 1 standard error';
  return `online − offline at equal KL (${kl.toFixed(2)} nats): ${withError(mean, standardError)} over ${runs.length} seeds, ${verdict}`;
}

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** A row at a way of learning and a part of the picks, means over seeds. */
function rowsOf(runs: readonly SeedFigures[], road: Road, label: string): string[] {
  const paths = pathsOf(runs, road);
  const looks = paths[0]?.points ?? [];
  return looks.map(({ picks, step }, at) => {
    const here = paths.flatMap(({ points }) => points[at] ?? []);
    const [score, kl] = [
      overSeeds(here.map((point) => point.score)),
      overSeeds(here.map((point) => point.kl)),
    ];
    const place = !step ? String(picks) : `${picks}, after ${counted(step, 'step')} of RLOO`;
    const cells = [label, place, withError(score.mean, score.standardError)];
    return row([...cells, withError(kl.mean, kl.standardError)]);
  });
}

const mean = (values: readonly number[]) => estimate(values).mean;

/** Seeds that have every road, so that all are compared on the same picks. */
const complete = (runs: readonly SeedFigures[]) => runs.filter(({ policy }) => policy !== undefined);

/** The end of each road: reward, KL, J and the gap by the rule's own reward, and its time. */
function roadRows({ runs, optimum }: Kept): string[] {
  if (!optimum) return [];
  return ROADS.flatMap(({ name, label }) => {
    const paths = pathsOf(complete(runs), name);
    const ends = paths.flatMap(({ points }) => points.at(-1) ?? []);
    const objectives = ends.map(({ score, kl }) => score - optimum.beta * kl);
    const figures = [
      ends.map(({ score }) => score),
      ends.map(({ kl }) => kl),
      objectives,
      objectives.map((objective) => optimum.mean - objective),
    ].map(overSeeds);
    const seconds = mean(paths.map((path) => path.seconds.picking + path.seconds.learning));
    const cells = figures.map((figure) => withError(figure.mean, figure.standardError));
    return [row([label, ...cells, `${Math.round(seconds)} s`])];
  });
}

/** The reward model's own figures of the road with RLOO, a row at an evaluation of the first seed that has it. */
function proxyRows(runs: readonly SeedFigures[]): string[] {
  const [path] = runs.flatMap(({ policy }) => policy ?? []);
  return (path?.proxy.points ?? []).map(
    ({ step, reward, kl, objective, gap, gapError, effectiveSamples }) => {
      const bound = effectiveSamples < LEAST_EFFECTIVE ? 'at least ' : '';
      const numbers = [reward, kl, objective].map((value) => value.toFixed(2).replace('-', '−'));
      return row([String(step), ...numbers, `${bound}${withError(gap, gapError)}`]);
    },
  );
}

/** The part of the page on the road with RLOO, where the command has added it. */
function policyPart(kept: Kept): string {
  const { runs, optimum, picks } = kept;
  const paths = runs.flatMap(({ policy }) => policy ?? []);
  const [first] = paths;
  if (!first || !optimum)
    return `\nThe road with a reward model and RLOO is not measured yet: run \`node demos/studio/rule.mjs online\` to add it.\n`;
  const { beta, accuracy } = first.proxy;
  return `
## Reward model and RLOO

The third road trains on the same ${picks} picks between drafts of the untrained model. A reward model is trained on four fifths of them; on the rest
it prefers the rule's side in ${Math.round(100 * accuracy)}%. RLOO then trains against its scores, at β ${beta} for ${counted(first.steps, 'step')}. All roads are judged by the
rule's own reward, at β ${optimum.beta}: J = sentiment − ${optimum.beta} · KL, and the gap to β log Z, which is at least ${optimum.mean.toFixed(2)} ± ${optimum.standardError.toFixed(2)}, from stories of the untrained model.
The table is over ${counted(complete(runs).length, 'seed')} with all roads. Times depend on the machine's other work.

| road | mean sentiment | KL, nats | J | gap, at least | time of a run |
| --- | --- | --- | --- | --- | --- |
${roadRows(kept).join('\n')}

The same run judged by the reward model, on six held-out prompts. Here the gap is that to the best policy for the reward model.

| step | its score | KL, nats | J | gap |
| --- | --- | --- | --- | --- |
${proxyRows(runs).join('\n')}
`;
}

export function pageOf(kept: Kept): string {
  const { adapter, picks, heldOut, runs } = kept;
  const times = (way: 'offline' | 'online') => {
    const seconds = runs.map((run) => run[way].seconds);
    const [picking, learning] = [seconds.map((each) => each.picking), seconds.map((each) => each.learning)];
    return `${Math.round(mean(picking))} s for drafts and ${Math.round(mean(learning))} s for training`;
  };
  return `# Online and offline learning from picks

In this study, a rule replaces the person in the [studio](../demos/studio/README.md): it reads two drafts and picks the one with happier words,
${picks} times. *Offline*, the untrained model writes all drafts, and DPO then trains on the picks with the page's defaults. *Online*, the
model trains on every four picks, and the trained model writes the next drafts.

\`\`\`
node demos/studio/rule.mjs online          # five seeds; adds the roads and seeds that are missing
node demos/studio/rule.mjs online --page   # writes this page again, without training
\`\`\`

## Result

A larger KL makes a higher reward easy, so the two are compared at the largest KL that both reach, by linear interpolation between the
points below.

**${summaryOf(runs)}.**

| learning | picks trained on | mean sentiment of a held-out story | KL to the untrained model, nats |
| --- | --- | --- | --- |
${ROADS.flatMap(({ name, label }) => rowsOf(runs, name, label)).join('\n')}

Means over ${runs.length} seeds with their standard errors (reward model and RLOO: ${complete(runs).length}), on ${heldOut} held-out prompts. KL is estimated from the model's own stories. Per run,
offline learning took ${times('offline')}, and online learning ${times('online')} (${adapter}).
${policyPart(kept)}
The figures are stored in [studio/online.json](studio/online.json).
`;
}
