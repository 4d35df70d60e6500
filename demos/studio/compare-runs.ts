/** The curves of two runs that have ended, in the same charts. */
import { type ChartSpec, Charts } from '../shared/chart.ts';
import { byId, make, setText } from '../shared/dom.ts';
import type { PastRun } from './history.ts';
import { methodOf } from './methods.ts';
import { sampleLists } from './samples-view.ts';

/** The colors of the two, by the names of the style sheet. */
const CURVES = ['train', 'held'] as const;

interface Row extends Omit<ChartSpec, 'curves'> {
  /** Whether it is drawn from batches, which are noisy, or from the held-out rows. */
  from: 'train' | 'heldOut';
  /** The value of a run at a step; not a number where it has none. */
  at(run: PastRun, step: number): number;
}

const onRows = (from: Row['from'], measure: 'loss' | 'accuracy') => ({
  from,
  at: ({ curves }: PastRun, step: number) =>
    curves[from].find((point) => point.step === step)?.[measure] ?? Number.NaN,
});
const onRollouts = (measure: 'reward' | 'kl' | 'gap') => ({
  from: 'heldOut' as const,
  at: ({ policy }: PastRun, step: number) =>
    policy?.heldOut.find((point) => point.step === step)?.[measure] ?? Number.NaN,
});
const LOSS = { title: 'Loss', digits: 3, floor: 0, ceiling: 0.75 };
const SCALE = { digits: 2, floor: 0, ceiling: 1 };

const CHARTS: readonly Row[] = [
  { ...LOSS, meaning: 'in training', ...onRows('train', 'loss') },
  { ...LOSS, meaning: 'held out', ...onRows('heldOut', 'loss') },
  {
    title: 'Accuracy',
    meaning: 'held out',
    digits: 2,
    floor: 0.4,
    ceiling: 1,
    ...onRows('heldOut', 'accuracy'),
  },
];
const POLICY_CHARTS: readonly Row[] = [
  { ...SCALE, title: 'Reward', meaning: 'held out, by its own reward model', ...onRollouts('reward') },
  { ...SCALE, title: 'KL', meaning: 'held out, in nats a draft', ...onRollouts('kl') },
  { ...SCALE, title: 'Gap', meaning: 'to the best policy at its β, at least', ...onRollouts('gap') },
];

type Pair = readonly [PastRun, PastRun];

/** Two runs on rollouts, or two on rows. */
const KINDS = { rollouts: POLICY_CHARTS, rows: CHARTS } as const;
type Kind = keyof typeof KINDS;

const drawn: Partial<Record<Kind, { charts: Charts; place: HTMLElement }>> = {};

const kindOf = ({ policy }: PastRun): Kind => (policy ? 'rollouts' : 'rows');

/** Draws two runs over each other; without two, hides where they are drawn. */
export function compareRuns(pair: Pair | undefined): void {
  byId('runs-compared', HTMLElement).hidden = pair === undefined;
  if (!pair) return;
  const kinds = new Set(pair.map(kindOf));
  const [kind] = kinds;
  for (const { place } of Object.values(drawn)) place.hidden = true;
  if (kind && kinds.size === 1) drawOver(kind, pair);
  byId('runs-key', HTMLUListElement).replaceChildren(...pair.map(keyOf));
  setText(byId('runs-note', HTMLElement), kinds.size > 1 ? MIXED : noteOf(pair));
  byId('runs-samples', HTMLDivElement).replaceChildren(...pair.flatMap(samplesOf));
}

const MIXED =
  'One run has learned from rows and the other from rollouts, so they share no curve. Compare them blind on the tab Compare.';

function drawOver(kind: Kind, pair: Pair): void {
  const rows = KINDS[kind];
  const { charts, place } = drawn[kind] ?? newCharts(rows);
  drawn[kind] = { charts, place };
  place.hidden = false;
  charts.begin(Math.max(...pair.map(({ step }) => step)));
  for (const step of stepsOf(pair))
    charts.add(
      step,
      rows.map((row) => new Map(pair.map((run, i) => [CURVES[i] ?? '', row.at(run, step)]))),
    );
}

function newCharts(rows: readonly Row[]) {
  const place = make('div', 'grid');
  byId('runs-charts', HTMLDivElement).append(place);
  return { charts: new Charts(rows.map(specOf), place), place };
}

const specOf = ({ from, at: _, ...row }: Row): ChartSpec => ({
  ...row,
  curves: CURVES.map((name, i) => ({
    name,
    label: i === 0 ? 'first run' : 'second run',
    ...(from === 'train' ? { smooth: true } : { dots: true }),
  })),
});

/** Every step of either run, in order. */
function stepsOf(pair: Pair): number[] {
  const points = pair.flatMap(({ curves, policy }) => [
    ...curves.train,
    ...curves.heldOut,
    ...(policy?.heldOut ?? []),
  ]);
  return [...new Set(points.map(({ step }) => step))].sort((a, b) => a - b);
}

function keyOf({ name }: PastRun, i: number): HTMLElement {
  const line = make('span', `line ${CURVES[i]}`);
  line.setAttribute('aria-hidden', 'true');
  return make('li', '', line, name);
}

function noteOf([a, b]: Pair): string {
  if (a.method === b.method) return '';
  return `${methodOf(a.method).label} and ${methodOf(b.method).label} minimize different losses, so the two loss curves have different scales.`;
}

/** Its last samples, under its name. */
function samplesOf({ name, samples }: PastRun): HTMLElement[] {
  const taken = samples.taken.slice(-1);
  if (taken.length === 0) return [];
  return [make('div', '', make('h3', '', name), ...sampleLists({ ...samples, taken }))];
}
