/**
 * Four curves of the run: loss, margin, accuracy and log-ratio of the chosen completions, on the training batches and on
 * the held-out pairs.
 */
import { type ChartSpec, Charts, type CurveSpec } from '../shared/chart.ts';
import type { Point } from './messages.ts';

type Measure = Exclude<keyof Point, 'step'>;

const CURVES: readonly CurveSpec[] = [
  { name: 'train', label: 'in training', smooth: true },
  { name: 'held', label: 'held out', dots: true },
];

const SPECS: readonly (Omit<ChartSpec, 'curves'> & { measure: Measure })[] = [
  {
    measure: 'loss',
    title: 'Loss',
    meaning: 'falls from ln 2, a coin toss',
    digits: 3,
    floor: 0,
    ceiling: 0.75,
  },
  {
    measure: 'margin',
    title: 'Reward margin',
    meaning: 'chosen over rejected',
    digits: 2,
    floor: 0,
    ceiling: 0.5,
  },
  { measure: 'accuracy', title: 'Accuracy', meaning: 'pairs told apart', digits: 2, floor: 0.4, ceiling: 1 },
  {
    measure: 'logRatio',
    title: 'Log-ratio of the chosen',
    meaning: 'below 0 they became less likely',
    digits: 2,
    floor: -0.5,
    ceiling: 0.5,
  },
];

export class AlignCharts extends Charts {
  constructor() {
    super(SPECS.map((spec) => ({ ...spec, curves: CURVES })));
  }

  /** A run starts, or resumes with its known points. */
  goOn(totalSteps: number, train: readonly Point[], heldOut: readonly Point[]): void {
    this.begin(totalSteps);
    for (const point of train) this.addPoint('train', point);
    for (const point of heldOut) this.addPoint('held', point);
  }

  addPoint(curve: 'train' | 'held', point: Point): void {
    this.add(
      point.step,
      SPECS.map(({ measure }) => new Map([[curve, point[measure]]])),
    );
  }
}
