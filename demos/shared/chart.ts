/**
 * Curves of a run, drawn by uPlot, step by step. Points are collected and drawn once per frame, so that a fast GPU does not
 * keep the page busy.
 */
import { byId, make, setText } from './dom.ts';
import { language } from './language.ts';
import uPlot from './uplot.ts';

/** A curve of a chart. */
export interface CurveSpec {
  /** Name of the value that it draws, and of its color in the style sheet. */
  name: string;
  /** Label after the value. */
  label: string;
  /** Whether it is smoothed, with the original values behind it. */
  smooth?: boolean;
  /** Whether every value has a dot. */
  dots?: boolean;
  /** False for dots only. */
  line?: boolean;
  dash?: number[];
  /** Whether it is omitted beside the title. */
  quiet?: boolean;
}

export interface ChartSpec {
  title: string;
  /** A short explanation for the user. */
  meaning: string;
  digits: number;
  /** Range that is always shown. */
  floor: number;
  ceiling: number;
  curves: readonly CurveSpec[];
}

/** Weight of earlier values in the smoothed curve, an exponential moving average. */
const SMOOTHING = 0.8;

const wholeNumber = new Intl.NumberFormat(language);

type Column = (number | null)[];

class Curve {
  raw: Column = [];
  smooth: Column = [];
  readonly now: HTMLElement;
  private sum = 0;
  private weight = 0;

  constructor(readonly spec: CurveSpec) {
    this.now = make('span', spec.name);
    this.now.title = spec.label;
  }

  clear(): void {
    this.raw = [];
    this.smooth = [];
    this.sum = 0;
    this.weight = 0;
  }

  extend(): void {
    this.raw.push(null);
    this.smooth.push(null);
  }

  set(at: number, value: number): void {
    this.raw[at] = value;
    this.sum = SMOOTHING * this.sum + value;
    this.weight = SMOOTHING * this.weight + 1;
    this.smooth[at] = this.sum / this.weight;
  }

  /** The columns that it draws; for a smoothed curve, the original values come first. */
  columns(): Column[] {
    return this.spec.smooth ? [this.raw, this.smooth] : [this.raw];
  }

  /** The last value up to a step, or the latest value. */
  valueAt(at: number | undefined): number | undefined {
    const column = this.spec.smooth && at === undefined ? this.smooth : this.raw;
    if (this.spec.smooth && at !== undefined) return column[at] ?? undefined;
    return (
      column.slice(0, at === undefined ? undefined : at + 1).findLast((value) => value !== null) ?? undefined
    );
  }

  series(): uPlot.Series[] {
    const { name, smooth, dots, dash, line: isLine = true } = this.spec;
    const line = (color: string, width: number, more: Partial<uPlot.Series> = {}): uPlot.Series => ({
      stroke: () => colorOf(color),
      width,
      points: { show: false },
      spanGaps: true,
      ...more,
    });
    const points = {
      show: true,
      size: 6,
      width: 2,
      stroke: () => colorOf(`--${name}`),
      fill: () => colorOf('--card'),
    };
    const main = line(`--${name}`, isLine ? 2 : 0, {
      ...(dots ? { points } : {}),
      ...(dash ? { dash } : {}),
    });
    return smooth ? [line(`--${name}-faint`, 1), main] : [main];
  }
}

class Chart {
  private readonly plot: uPlot;
  private readonly figure: HTMLElement;
  private readonly curves: readonly Curve[];
  private steps: number[] = [];

  constructor(
    private readonly spec: ChartSpec,
    private readonly range: { steps: number },
    parent: HTMLElement,
  ) {
    this.curves = spec.curves.map((curve) => new Curve(curve));
    const shown = this.curves.filter((curve) => !curve.spec.quiet).map(({ now }) => now);
    const head = make('figcaption', '', make('strong', '', spec.title), make('small', '', spec.meaning));
    head.append(make('span', 'now', ...shown));
    const canvas = make('div', 'plot');
    canvas.setAttribute('role', 'img');
    this.figure = canvas;
    parent.append(make('figure', 'card chart', head, canvas));
    const empty = [[], ...this.curves.flatMap((curve) => curve.columns())] as uPlot.AlignedData;
    const { clientWidth, clientHeight } = canvas;
    this.plot = new uPlot(this.options(clientWidth || 300, clientHeight || 168), empty, canvas);
    this.describe();
    new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = canvas;
      if (width > 0 && (width !== this.plot.width || height !== this.plot.height))
        this.plot.setSize({ width, height });
    }).observe(canvas);
  }

  clear(): void {
    this.steps = [];
    for (const curve of this.curves) curve.clear();
  }

  /** Adds values of curves at a step, by the curve's name. */
  add(step: number, values: ReadonlyMap<string, number>): void {
    const at = this.place(step);
    for (const curve of this.curves) {
      const value = values.get(curve.spec.name);
      if (value !== undefined && Number.isFinite(value)) curve.set(at, value);
    }
  }

  draw(): void {
    const columns = this.curves.flatMap((curve) => curve.columns());
    this.plot.setData([this.steps, ...columns] as uPlot.AlignedData);
    this.showValues(this.plot.cursor.idx ?? undefined);
    this.describe();
  }

  /** Colors come from the style sheet and are read on every drawing. */
  redraw(): void {
    this.plot.redraw();
  }

  /** Index of a step: an existing one, the last one, or a new one. */
  private place(step: number): number {
    const known = this.steps.lastIndexOf(step);
    if (known >= 0) return known;
    this.steps.push(step);
    for (const curve of this.curves) curve.extend();
    return this.steps.length - 1;
  }

  private showValues(at: number | undefined): void {
    for (const curve of this.curves) {
      const value = curve.valueAt(at);
      setText(curve.now, value === undefined ? '' : fixed(value, this.spec.digits));
    }
  }

  private describe(): void {
    const { title, digits } = this.spec;
    const values = this.curves.flatMap((curve) => {
      const value = curve.valueAt(undefined);
      return value === undefined ? [] : [`${fixed(value, digits)} ${curve.spec.label}`];
    });
    const text =
      values.length === 0
        ? `${title}: no steps yet.`
        : `${title} after step ${this.steps.at(-1)}: ${values.join(', ')}.`;
    this.figure.setAttribute('aria-label', text);
  }

  private options(width: number, height: number): uPlot.Options {
    const { floor, ceiling } = this.spec;
    const axis: uPlot.Axis = {
      stroke: () => colorOf('--muted'),
      grid: { stroke: () => colorOf('--grid'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
      gap: 6,
    };
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
      series: [{}, ...this.curves.flatMap((curve) => curve.series())],
      hooks: { setCursor: [(plot) => this.showValues(plot.cursor.idx ?? undefined)] },
    };
  }
}

/** The charts of a page, in its element `charts` or in another one. */
export class Charts {
  private readonly range = { steps: 1 };
  private readonly charts: Chart[];
  private frame = 0;

  constructor(specs: readonly ChartSpec[], parent: HTMLElement = byId('charts', HTMLDivElement)) {
    this.charts = specs.map((spec) => new Chart(spec, this.range, parent));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of this.charts) chart.redraw();
    });
  }

  /** Clears them for a run of this many steps. */
  begin(totalSteps: number): void {
    for (const chart of this.charts) chart.clear();
    this.setTotal(totalSteps);
  }

  setTotal(totalSteps: number): void {
    this.range.steps = Math.max(1, totalSteps);
    this.schedule();
  }

  /** Adds values at a step: for each chart in order, the values of some curves. */
  add(step: number, values: readonly ReadonlyMap<string, number>[]): void {
    for (const [i, chart] of this.charts.entries()) chart.add(step, values[i] ?? new Map());
    this.schedule();
  }

  /** Draws in the next frame, once, however many points arrive until then. */
  private schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      for (const chart of this.charts) chart.draw();
    });
  }
}

/** At least from `floor` to `ceiling`, and slightly more than the data. */
function padded(low: number, high: number, floor: number, ceiling: number): [number, number] {
  const room = 0.06 * (high - low);
  return [Math.min(floor, low - room), Math.max(ceiling, high + room)];
}

/** With a minus sign (−), and none before a zero. */
function fixed(value: number, digits?: number): string {
  const rounded = Number(value.toFixed(digits ?? 2)) || 0;
  return (digits === undefined ? String(rounded) : rounded.toFixed(digits)).replace('-', '−');
}

function colorOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
