/** The curves of two runs that have ended, in the same charts. */
import type { Point } from '../align/messages.ts';
import { type ChartSpec, Charts } from '../shared/chart.ts';
import { byId, make, setText } from '../shared/dom.ts';
import type { PastRun } from './history.ts';
import { methodOf } from './methods.ts';
import { sampleLists } from './samples-view.ts';

/** The colors of the two, by the names of the style sheet. */
const CURVES = ['train', 'held'] as const;

interface Row extends Omit<ChartSpec, 'curves'> {
  /** Whether it is drawn from batches, which are noisy, or from the held-out rows. */
  from: keyof PastRun['curves'];
  measure: 'loss' | 'accuracy';
}

const CHARTS: readonly Row[] = [
  {
    title: 'Loss',
    meaning: 'in training',
    from: 'train',
    measure: 'loss',
    digits: 3,
    floor: 0,
    ceiling: 0.75,
  },
  {
    title: 'Loss',
    meaning: 'held out',
    from: 'heldOut',
    measure: 'loss',
    digits: 3,
    floor: 0,
    ceiling: 0.75,
  },
  {
    title: 'Accuracy',
    meaning: 'held out',
    from: 'heldOut',
    measure: 'accuracy',
    digits: 2,
    floor: 0.4,
    ceiling: 1,
  },
];

type Pair = readonly [PastRun, PastRun];

let charts: Charts | undefined;

/** Draws two runs over each other; without two, hides where they are drawn. */
export function compareRuns(pair: Pair | undefined): void {
  byId('runs-compared', HTMLElement).hidden = pair === undefined;
  if (!pair) return;
  charts ??= new Charts(CHARTS.map(specOf), byId('runs-charts', HTMLDivElement));
  charts.begin(Math.max(...pair.map(({ step }) => step)));
  for (const step of stepsOf(pair)) {
    charts.add(
      step,
      CHARTS.map((chart) => valuesAt(step, pair, chart)),
    );
  }
  byId('runs-key', HTMLUListElement).replaceChildren(...pair.map(keyOf));
  setText(byId('runs-note', HTMLElement), noteOf(pair));
  byId('runs-samples', HTMLDivElement).replaceChildren(...pair.flatMap(samplesOf));
}

const specOf = ({ from, ...row }: Row): ChartSpec => ({
  ...row,
  curves: CURVES.map((name, i) => ({
    name,
    label: i === 0 ? 'first run' : 'second run',
    ...(from === 'train' ? { smooth: true } : { dots: true }),
  })),
});

/** Every step of either run, in order. */
function stepsOf(pair: Pair): number[] {
  const points = pair.flatMap(({ curves }) => [...curves.train, ...curves.heldOut]);
  return [...new Set(points.map(({ step }) => step))].sort((a, b) => a - b);
}

function valuesAt(step: number, pair: Pair, { from, measure }: Row): Map<string, number> {
  const at = (points: readonly Point[]) => points.find((point) => point.step === step)?.[measure];
  return new Map(pair.map(({ curves }, i) => [CURVES[i] ?? '', at(curves[from]) ?? Number.NaN]));
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
