/**
 * The numbers behind a report's charts: curves from the trainer's log, and histograms of values. Plain data.
 */
import { own } from '../../base/lookup.ts';
import type { Metrics } from '../../train/events.ts';
import { comparedAccuracy } from '../../train/metrics.ts';
import type { LogEntry } from '../../train/state.ts';

/** How a series is drawn: as a curve, or as bars. */
export type SeriesKind = 'faint' | 'line' | 'points' | 'before' | 'after' | 'rejected' | 'chosen';

export interface Series {
  label: string;
  kind: SeriesKind;
  /** One per x; null if missing. */
  values: (number | null)[];
}

export interface ChartData {
  title: string;
  /** The caption. */
  meaning: string;
  /** The unit of x. */
  axis: string;
  x: number[];
  series: Series[];
  digits: number;
  /** Values that the y axis must include. */
  range: [number, number];
  /** Whether x are the lower edges of bins. */
  bars: boolean;
}

/** Weight of the previous value in a smoothed curve. */
const SMOOTHING = 0.7;
/** Maximum points of a curve: in a longer run neighbors are averaged. */
const MOST_POINTS = 400;
/** Maximum bars of a histogram. */
const MOST_BINS = 26;

interface Look {
  title: string;
  meaning: string | ((first: number | undefined) => string);
  digits: number;
  range: [number, number];
}

/** Metrics with their own chart, in order, and their captions. */
// biome-ignore format: a row for each curve
const LOOKS: Readonly<Record<string, Look>> = {
  loss: { title: 'Loss', meaning: (first) => first !== undefined && Math.abs(first - Math.LN2) < 0.01 ? 'falls from ln 2, a coin toss' : 'the quantity that training minimizes', digits: 3, range: [0, 0] },
  reward: { title: 'Reward', meaning: 'mean over the policy’s completions', digits: 2, range: [0, 0] },
  objective: { title: 'Objective', meaning: 'reward − β · KL', digits: 2, range: [0, 0] },
  'kl/sequence': { title: 'KL', meaning: 'to the reference, nats per completion', digits: 2, range: [0, 0.5] },
  'rewards/margins': { title: 'Margin', meaning: 'reward of the chosen minus that of the rejected', digits: 2, range: [0, 0.5] },
  margin: { title: 'Margin', meaning: 'score of the chosen minus that of the rejected', digits: 2, range: [0, 0.5] },
  'rewards/accuracies': { title: 'Accuracy', meaning: 'share of pairs ordered correctly', digits: 2, range: [0, 1] },
  accuracy: { title: 'Accuracy', meaning: 'share of pairs ordered correctly', digits: 2, range: [0, 1] },
  mean_token_accuracy: { title: 'Token accuracy', meaning: 'tokens that were the most likely ones', digits: 2, range: [0, 1] },
  'log_ratio/chosen': { title: 'Log-ratio of the chosen', meaning: 'log π/π_ref; below 0 they became less likely', digits: 2, range: [-0.5, 0.5] },
  'completions/mean_length': { title: 'Length', meaning: 'tokens per completion', digits: 1, range: [0, 1] },
};

/** Decimal digits that show four digits of the largest value. */
function digitsOf(values: readonly (number | null)[]): number {
  const largest = Math.max(...values.map((value) => Math.abs(value ?? 0)));
  return largest > 0 ? Math.min(12, Math.max(0, 3 - Math.floor(Math.log10(largest)))) : 0;
}

/** Curves of all logged metrics over the steps: batches, smoothed, and held out. `others` have no caption. */
export function curves(log: readonly LogEntry[]): { main: ChartData[]; others: ChartData[] } {
  const { x, steps, evaluations } = points(log);
  const names = new Set([...steps, ...evaluations].flatMap((metrics) => Object.keys(metrics ?? {})));
  const logged = new Set([...names].map((name) => name.replace(/^eval_/, '')));
  const curve = (metric: string): ChartData => {
    const raw = steps.map((metrics) => finite(metrics, metric));
    const held = evaluations.map((metrics) => finite(metrics, `eval_${metric}`));
    const first = raw.find((value) => value !== null) ?? undefined;
    const { meaning, ...look } = own(LOOKS, metric) ?? {
      title: metric,
      meaning: '',
      digits: digitsOf([...raw, ...held]),
      range: [0, 0],
    };
    const series: Series[] = [
      { label: 'batch', kind: 'faint', values: raw },
      { label: 'smoothed', kind: 'line', values: smooth(raw) },
      { label: 'held out', kind: 'points', values: held },
    ];
    const told = typeof meaning === 'string' ? meaning : meaning(first);
    return { ...look, meaning: told, axis: 'step', x, series: series.filter(hasValues), bars: false };
  };
  const main = Object.keys(LOOKS).filter((name) => logged.has(name));
  const others = [...logged].filter((name) => !main.includes(name));
  const drawn = (all: readonly string[]) => all.map(curve).filter(({ series }) => series.length > 0);
  return { main: drawn(main), others: drawn(others) };
}

const hasValues = ({ values }: Series) => values.some((value) => value !== null);

function finite(metrics: Metrics | undefined, name: string): number | null {
  const value = shown(metrics ?? {}, name);
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** The log as points; neighbors are averaged if there are too many. An evaluation is at the point of its step. */
function points(log: readonly LogEntry[]) {
  const all = [...new Set(log.map(({ step }) => step))].sort((a, b) => a - b);
  const each = Math.ceil(all.length / MOST_POINTS) || 1;
  const groups = Array.from({ length: Math.ceil(all.length / each) }, (_, i) =>
    all.slice(i * each, (i + 1) * each),
  );
  const of = (type: LogEntry['type']): ReadonlyMap<number, Metrics> =>
    new Map(log.flatMap((entry) => (entry.type === type ? [[entry.step, entry.metrics] as const] : [])));
  const [byStep, byEvaluation] = [of('step'), of('evaluate')];
  const found = (from: typeof byStep, steps: readonly number[]) =>
    steps.map((step) => from.get(step)).filter((metrics) => metrics !== undefined);
  return {
    x: groups.map((steps) => steps.at(-1)!),
    steps: groups.map((steps) => means(found(byStep, steps))),
    evaluations: groups.map((steps) => found(byEvaluation, steps).at(-1)),
  };
}

function means(entries: readonly Metrics[]): Metrics | undefined {
  if (entries.length <= 1) return entries[0];
  const names = new Set(entries.flatMap((metrics) => Object.keys(metrics)));
  const mean = (name: string) => {
    const values = entries.flatMap((metrics) => finite(metrics, name) ?? []);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return Object.fromEntries([...names].map((name) => [name, mean(name)]));
}

/** A metric's value for a chart: no accuracy if nothing was compared. */
function shown(metrics: Metrics, name: string): number | undefined {
  const value = own(metrics, name);
  const [prefix, measure] = name.split('rewards/accuracies');
  return measure === undefined ? value : comparedAccuracy(value, own(metrics, `${prefix}rewards/margins`));
}

function smooth(values: readonly (number | null)[]): (number | null)[] {
  let last: number | undefined;
  return values.map((value) => {
    if (value !== null) last = last === undefined ? value : SMOOTHING * last + (1 - SMOOTHING) * value;
    return last ?? null;
  });
}

export interface Bars extends Pick<ChartData, 'title' | 'meaning' | 'axis'> {
  sides: readonly { label: string; kind: SeriesKind; values: readonly number[] }[];
  /** Whether all values are integers; the edges of bins are then integers too. */
  whole?: boolean;
}

/** Counts of values per bin; undefined without values. The width of a bin is a round number. */
export function histogram({ sides, whole = false, meaning, ...about }: Bars): ChartData | undefined {
  const all = sides.flatMap(({ values }) => values.filter(Number.isFinite));
  if (all.length === 0) return undefined;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const width = whole ? Math.max(1, Math.ceil((high - low + 1) / MOST_BINS)) : roundWidth((high - low) / 20);
  const first = Math.floor(low / width);
  const bins = Math.floor(high / width) - first + 1;
  const binOf = (value: number) => Math.floor(value / width) - first;
  // Bin edges are printed as intended: 0.3, not 3 · 0.1.
  const x = Array.from({ length: bins }, (_, i) => Number(((first + i) * width).toPrecision(12)));
  const series = sides.map(({ label, kind, values }) => {
    const counts = new Array<number>(bins).fill(0);
    for (const value of values) if (Number.isFinite(value)) counts[binOf(value)]++;
    return { label, kind, values: counts };
  });
  const told = width === 1 ? meaning : `${meaning}, in steps of ${width}`;
  return { ...about, meaning: told, x, series, digits: 0, range: [0, 1], bars: true };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function roundWidth(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return Number(
    ([1, 2, 5, 10].map((each) => each * power).find((each) => each >= least) ?? 1).toPrecision(1),
  );
}
