/**
 * The numbers behind a report's charts: curves out of the trainer's log, a histogram out of rewards. Plain data.
 */
import { own } from '../../base/lookup.ts';
import type { Metrics } from '../../train/events.ts';
import { comparedAccuracy } from '../../train/metrics.ts';
import type { LogEntry } from '../../train/state.ts';

/** How a series is drawn. */
export type SeriesKind = 'faint' | 'line' | 'points' | 'before' | 'after';

export interface Series {
  label: string;
  kind: SeriesKind;
  /** One for each x; null where there is none. */
  values: (number | null)[];
}

export interface ChartData {
  title: string;
  /** What a person should see in it. */
  meaning: string;
  /** What x counts. */
  axis: string;
  x: number[];
  series: Series[];
  digits: number;
  /** Values that the y axis shows at least. */
  range: [number, number];
}

/** Weight of what came before in a smoothed curve. */
const SMOOTHING = 0.7;
/** Most bars of a histogram. */
const MOST_BINS = 26;

// biome-ignore format: a row for each curve
const CURVES: readonly { metric: string; title: string; meaning: string; digits: number; range: [number, number] }[] = [
  { metric: 'loss', title: 'Loss', meaning: 'falls from ln 2, a coin toss', digits: 3, range: [0, 0.75] },
  { metric: 'rewards/margins', title: 'Margin', meaning: 'reward of the chosen over the rejected', digits: 2, range: [0, 0.5] },
  { metric: 'rewards/accuracies', title: 'Accuracy', meaning: 'pairs told apart', digits: 2, range: [0, 1] },
  { metric: 'log_ratio/chosen', title: 'Log-ratio of the chosen', meaning: 'log π/π_ref; below 0 they became less likely', digits: 2, range: [-0.5, 0.5] },
];

/** Loss, margin, accuracy and log-ratio over the steps: batches, smoothed, and held out. */
export function curves(log: readonly LogEntry[]): ChartData[] {
  const x = [...new Set(log.map(({ step }) => step))].sort((a, b) => a - b);
  return CURVES.map(({ metric, title, meaning, digits, range }) => {
    const values = (type: LogEntry['type'], name: string) => {
      const found = new Map(
        log.filter((entry) => entry.type === type).map(({ step, metrics }) => [step, shown(metrics, name)]),
      );
      return x.map((step) => found.get(step) ?? null);
    };
    const raw = values('step', metric);
    const series: Series[] = [
      { label: 'batch', kind: 'faint', values: raw },
      { label: 'smoothed', kind: 'line', values: smooth(raw) },
      { label: 'held out', kind: 'points', values: values('evaluate', `eval_${metric}`) },
    ];
    return { title, meaning, axis: 'step', x, series, digits, range };
  });
}

/** A metric as a chart has it: no accuracy where nothing was compared. */
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

/** How many stories got which reward, before and after, in bins of a whole width. */
export function histogram(before: readonly number[], after: readonly number[]): ChartData {
  const all = [...before, ...after];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const width = Math.max(1, Math.ceil((high - low + 1) / MOST_BINS));
  const first = Math.floor(low / width) * width;
  const x = Array.from({ length: Math.floor((high - first) / width) + 1 }, (_, i) => first + i * width);
  const counts = (values: readonly number[]) =>
    x.map((from) => values.filter((value) => value >= from && value < from + width).length);
  return {
    title: 'Sentiment of the stories',
    meaning:
      width === 1
        ? 'stories by the sum of their words’ ratings'
        : `stories by the sum of their words’ ratings, in steps of ${width}`,
    axis: 'sentiment',
    x,
    series: [
      { label: 'before', kind: 'before', values: counts(before) },
      { label: 'after', kind: 'after', values: counts(after) },
    ],
    digits: 0,
    range: [0, 1],
  };
}
