/**
 * The code that runs inside a report: draws its charts with uPlot, in the colors of the page's style sheet, as wide as
 * possible. The function is inserted into the page as text, so it uses nothing but its arguments.
 */
import type uPlotType from 'uplot';
import type { ChartData, Series } from './figures.ts';

/**
 * Runs before uPlot, which requests number formats in the browser's language while loading: a headless browser may have an
 * invalid language (`en-US@posix`).
 */
export function mendLanguage(): void {
  try {
    new Intl.NumberFormat(navigator.language);
  } catch {
    Object.defineProperty(navigator, 'language', { value: 'en' });
  }
}

/** Draws every chart of `charts` into the element `#chart-{i}`, and the values under the cursor into its caption. */
export function drawCharts(uPlot: typeof uPlotType, charts: ChartData[]): void {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => () => style.getPropertyValue(`--${name}`).trim();
  const bars = uPlot.paths.bars!;
  const font = '12px system-ui, sans-serif';

  /** One of two bars of a bin. */
  const beside = (name: string, align: -1 | 1): Partial<uPlotType.Series> => ({
    fill: color(name),
    stroke: color(name),
    width: 0,
    paths: bars({ size: [0.42, 22], align, radius: 0.2 }),
    points: { show: false },
  });
  const looks: Record<Series['kind'], Partial<uPlotType.Series>> = {
    faint: { stroke: color('train-faint'), width: 1.5, points: { show: false } },
    line: { stroke: color('train'), width: 2.25, points: { show: false } },
    points: {
      stroke: color('held'),
      paths: () => null,
      points: { show: true, size: 9, fill: color('held'), stroke: color('card'), width: 2 },
    },
    before: beside('before', -1),
    after: beside('train', 1),
    rejected: beside('held', -1),
    chosen: beside('train', 1),
  };

  charts.forEach((chart, number) => {
    const place = document.getElementById(`chart-${number}`)!;
    const now = document.getElementById(`now-${number}`)!;
    const isHistogram = chart.bars;
    const format = (value: number) => value.toFixed(chart.digits).replace('-', '−');
    const last = (values: Series['values']) => values.reduce((found, value) => value ?? found, null);
    const tell = (at: number | null | undefined) => {
      const told = chart.series.filter(({ kind }) => kind !== 'faint');
      const parts = told.map(({ label, values }) => {
        const value = at == null ? last(values) : values[at];
        return value == null ? '' : `${label} ${format(value)}`;
      });
      const where = at == null ? '' : `${chart.axis} ${String(chart.x[at]).replace('-', '−')}: `;
      now.textContent = isHistogram && at == null ? '' : where + parts.filter(Boolean).join(', ');
    };
    const height = () =>
      Math.round(Math.min(isHistogram ? 260 : 190, Math.max(150, place.clientWidth * 0.5)));
    const half = isHistogram ? ((chart.x[1] ?? 1) - (chart.x[0] ?? 0)) * 0.75 : 0;
    const plot = new uPlot(
      {
        width: Math.max(1, place.clientWidth),
        height: height(),
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: !isHistogram, size: 7 } },
        scales: {
          x: { time: false, range: (_, from, to) => [from - half, to + half] },
          y: {
            range: (_, from, to) =>
              uPlot.rangeNum(Math.min(from, chart.range[0]), Math.max(to, chart.range[1]), {
                min: { pad: 0, soft: 0, mode: 1 },
                max: { pad: 0.08, soft: chart.range[1], mode: 1 },
              }),
          },
        },
        axes: [
          {
            stroke: color('muted'),
            font,
            size: 30,
            gap: 6,
            grid: { show: false },
            ticks: { show: false },
            space: 44,
          },
          {
            stroke: color('muted'),
            font,
            size: 44,
            gap: 6,
            grid: { stroke: color('grid'), width: 1 },
            ticks: { show: false },
            space: 36,
          },
        ],
        series: [{}, ...chart.series.map(({ label, kind }) => ({ label, ...looks[kind] }))],
        hooks: { setCursor: [(self) => tell(self.cursor.idx)] },
      },
      [chart.x, ...chart.series.map(({ values }) => values)] as uPlotType.AlignedData,
      place,
    );
    tell(null);
    new ResizeObserver(() => {
      if (place.clientWidth > 0) plot.setSize({ width: place.clientWidth, height: height() });
    }).observe(place);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.redraw());
  });
}
