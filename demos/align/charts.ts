/**
 * Four curves of the run, drawn by uPlot: loss, margin, accuracy and KL, on the training batches and on the held-out
 * pairs. Dots are collected as they come and drawn once a frame, so that a fast GPU does not keep the page busy.
 */
import { byId, make, setText } from '../shared/dom.ts';
import { language } from './language.ts';
import type { Point } from './messages.ts';
import uPlot from './uplot.ts';

type Measure = Exclude<keyof Point, 'step'>;

interface ChartSpec {
  measure: Measure;
  title: string;
  /** What a person should see in it. */
  meaning: string;
  digits: number;
  /** Range that is always shown. */
  floor: number;
  ceiling: number;
}

const SPECS: readonly ChartSpec[] = [
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
    measure: 'kl',
    title: 'KL',
    meaning: 'how far it has moved, on the pairs',
    digits: 2,
    floor: 0,
    ceiling: 1,
  },
];

/** Weight of what came before in the smoothed curve, a running mean that forgets. */
const SMOOTHING = 0.8;

const wholeNumber = new Intl.NumberFormat(language);

type Column = (number | null)[];

class Chart {
  private readonly plot: uPlot;
  private readonly now = { train: make('span', 'train'), held: make('span', 'held') };
  private readonly figure: HTMLElement;
  private steps: number[] = [];
  private raw: Column = [];
  private smooth: Column = [];
  private heldOut: Column = [];
  /** Of the smoothed curve. */
  private sum = 0;
  private weight = 0;

  constructor(
    private readonly spec: ChartSpec,
    private readonly range: { steps: number },
    parent: HTMLElement,
  ) {
    const now = make('span', 'now', this.now.train, this.now.held);
    const head = make('figcaption', '', make('strong', '', spec.title), make('small', '', spec.meaning), now);
    const canvas = make('div', 'plot');
    canvas.setAttribute('role', 'img');
    this.figure = canvas;
    parent.append(make('figure', 'card chart', head, canvas));
    this.plot = new uPlot(
      this.options(canvas.clientWidth || 300, canvas.clientHeight || 168),
      [[], [], [], []],
      canvas,
    );
    this.describe();
    new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = canvas;
      if (width > 0 && (width !== this.plot.width || height !== this.plot.height))
        this.plot.setSize({ width, height });
    }).observe(canvas);
  }

  clear(): void {
    this.steps = [];
    this.raw = [];
    this.smooth = [];
    this.heldOut = [];
    this.sum = 0;
    this.weight = 0;
  }

  addTraining(point: Point): void {
    const at = this.place(point.step);
    const value = point[this.spec.measure];
    this.raw[at] = value;
    this.sum = SMOOTHING * this.sum + value;
    this.weight = SMOOTHING * this.weight + 1;
    this.smooth[at] = this.sum / this.weight;
  }

  addHeldOut(point: Point): void {
    this.heldOut[this.place(point.step)] = point[this.spec.measure];
  }

  draw(): void {
    this.plot.setData([this.steps, this.raw, this.smooth, this.heldOut]);
    this.showValue(this.plot.cursor.idx ?? undefined);
    this.describe();
  }

  /** Colours come from the style sheet and are read with every drawing. */
  redraw(): void {
    this.plot.redraw();
  }

  /** Index of a step, which is the last one or a new one. */
  private place(step: number): number {
    const known = this.steps.lastIndexOf(step);
    if (known >= 0) return known;
    this.steps.push(step);
    this.raw.push(null);
    this.smooth.push(null);
    this.heldOut.push(null);
    return this.steps.length - 1;
  }

  private showValue(index: number | undefined): void {
    const at = index ?? this.steps.length - 1;
    const format = (value: number | null | undefined) =>
      value == null ? '' : fixed(value, this.spec.digits);
    const train = format(
      index === undefined ? this.smooth.findLast((value) => value !== null) : this.raw[at],
    );
    const held = format(this.heldOut.slice(0, at + 1).findLast((value) => value !== null));
    setText(this.now.train, train);
    setText(this.now.held, held);
  }

  private describe(): void {
    const held = this.heldOut.findLast((value) => value !== null);
    const train = this.smooth.findLast((value) => value !== null);
    const { title, digits } = this.spec;
    const text =
      train == null
        ? `${title}: no steps yet.`
        : `${title} after step ${this.steps.at(-1)}: ${train.toFixed(digits)} in training${held == null ? '' : `, ${held.toFixed(digits)} held out`}.`;
    this.figure.setAttribute('aria-label', text);
  }

  private options(width: number, height: number): uPlot.Options {
    const { floor, ceiling } = this.spec;
    const axis: uPlot.Axis = {
      stroke: () => color('--muted'),
      grid: { stroke: () => color('--grid'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
      gap: 6,
    };
    const line = (name: string, width: number, more: Partial<uPlot.Series> = {}): uPlot.Series => ({
      stroke: () => color(name),
      width,
      points: { show: false },
      spanGaps: true,
      ...more,
    });
    return {
      width,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 }, sync: { key: 'run' } },
      scales: {
        x: { time: false, range: () => [0, Math.max(1, this.range.steps)] },
        y: { range: (_, low, high) => padded(low ?? floor, high ?? ceiling, floor, ceiling) },
      },
      axes: [
        {
          ...axis,
          size: 26,
          space: 60,
          incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 5000],
          values: (_, ticks) => ticks.map((tick) => wholeNumber.format(tick)),
        },
        {
          ...axis,
          size: 44,
          space: 34,
          values: (_, ticks) => ticks.map((tick) => fixed(tick)),
        },
      ],
      series: [
        {},
        line('--train-faint', 1),
        line('--train', 2),
        line('--held', 2, {
          points: {
            show: true,
            size: 6,
            width: 2,
            stroke: () => color('--held'),
            fill: () => color('--card'),
          },
        }),
      ],
      hooks: { setCursor: [(plot) => this.showValue(plot.cursor.idx ?? undefined)] },
    };
  }
}

/** The four of them. */
export class Charts {
  private readonly range = { steps: 1 };
  private readonly charts: Chart[];
  private frame = 0;

  constructor() {
    const parent = byId('charts', HTMLDivElement);
    this.charts = SPECS.map((spec) => new Chart(spec, this.range, parent));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of this.charts) chart.redraw();
    });
  }

  /** A run begins or goes on with what is known of it. */
  begin(totalSteps: number, train: readonly Point[], heldOut: readonly Point[]): void {
    for (const chart of this.charts) chart.clear();
    this.setTotal(totalSteps);
    this.addTraining(train);
    for (const point of heldOut) this.addHeldOut(point);
  }

  setTotal(totalSteps: number): void {
    this.range.steps = Math.max(1, totalSteps);
    this.schedule();
  }

  addTraining(points: readonly Point[]): void {
    for (const chart of this.charts) for (const point of points) chart.addTraining(point);
    this.schedule();
  }

  addHeldOut(point: Point): void {
    for (const chart of this.charts) chart.addHeldOut(point);
    this.schedule();
  }

  /** Draws with the next frame, once, however much came until then. */
  private schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      for (const chart of this.charts) chart.draw();
    });
  }
}

/** At least from `floor` to `ceiling`, and a little more than the data. */
function padded(low: number, high: number, floor: number, ceiling: number): [number, number] {
  const room = 0.06 * (high - low);
  return [Math.min(floor, low - room), Math.max(ceiling, high + room)];
}

/** With a true minus, and none before a zero. */
function fixed(value: number, digits?: number): string {
  const rounded = Number(value.toFixed(digits ?? 2)) || 0;
  return (digits === undefined ? String(rounded) : rounded.toFixed(digits)).replace('-', '−');
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
