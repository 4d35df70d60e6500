/** The page of the comparison of online and offline learning, from kept figures. */
import { estimate } from '../../../src/cli/statistics.ts';
import { atEqualKl } from './equal-kl.ts';
import type { Path } from './paths.ts';

export interface SeedFigures {
  seed: number;
  offline: Path;
  online: Path;
}

/** What the command keeps. */
export interface Kept {
  adapter: string;
  /** Picks that teach, in each run. */
  picks: number;
  /** Prompts that are only written to. */
  heldOut: number;
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

const withError = (mean: number, error: number) =>
  `${mean.toFixed(2).replace('-', '−')} ± ${Number.isFinite(error) ? error.toFixed(2) : '?'}`;

export function summaryOf(runs: readonly SeedFigures[]): string {
  const { kl, mean, standardError, isAsGood } = differenceOf(runs);
  const verdict = isAsGood ? 'at least offline − 1 standard error' : 'below offline − 1 standard error';
  return `online − offline at equal KL (${kl.toFixed(2)} nats): ${withError(mean, standardError)} over ${runs.length} seeds, ${verdict}`;
}

/** A row at a way of learning and a part of the picks, means over seeds. */
function rowsOf(runs: readonly SeedFigures[], way: 'offline' | 'online', label: string): string[] {
  const paths = runs.map((run) => run[way]);
  const looks = paths[0]?.points ?? [];
  return looks.map(({ picks }, at) => {
    const here = paths.flatMap(({ points }) => points[at] ?? []);
    const [score, kl] = [
      overSeeds(here.map((point) => point.score)),
      overSeeds(here.map((point) => point.kl)),
    ];
    const cells = [label, String(picks), withError(score.mean, score.standardError)];
    return `| ${[...cells, withError(kl.mean, kl.standardError)].join(' | ')} |`;
  });
}

const mean = (values: readonly number[]) => estimate(values).mean;

export function pageOf({ adapter, picks, heldOut, runs }: Kept): string {
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
node demos/studio/rule.mjs online          # five seeds; a stopped run continues
node demos/studio/rule.mjs online --page   # writes this page again, without training
\`\`\`

## Result

A larger KL makes a higher reward easy, so the two are compared at the largest KL that both reach, by linear interpolation between the
points below.

**${summaryOf(runs)}.**

| learning | picks trained on | mean sentiment of a held-out story | KL to the untrained model, nats |
| --- | --- | --- | --- |
${[...rowsOf(runs, 'offline', 'offline'), ...rowsOf(runs, 'online', 'online')].join('\n')}

Means over ${runs.length} seeds with their standard errors, on ${heldOut} held-out prompts. KL is estimated from the model's own stories. Per run,
offline learning took ${times('offline')}, and online learning ${times('online')} (${adapter}).

The figures are stored in [studio/online.json](studio/online.json).
`;
}
