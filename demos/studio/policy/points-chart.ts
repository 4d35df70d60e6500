/** The reward model's score and the person's win rate over the steps of a run, in one small chart with a scale on each side. */
import { make } from '../../shared/dom.ts';
import uPlot from '../../shared/uplot.ts';
import type { RunPoint } from './points.ts';

const HEIGHT = 200;
const colorOf = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);

/** Draws the points into an element and replaces its content. */
export function drawPoints(parent: HTMLElement, points: readonly RunPoint[]): void {
  const canvas = make('div', 'plot');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', describe(points));
  parent.replaceChildren(canvas);
  const value = (number: number | undefined) =>
    number !== undefined && Number.isFinite(number) ? number : null;
  const data = [
    points.map(({ step }) => step),
    points.map(({ score }) => value(score)),
    points.map(({ step, votes }) => (step === 0 ? 50 : value(votes && 100 * votes.rate))),
  ] as uPlot.AlignedData;
  const plot = new uPlot(options(canvas.clientWidth || 300, points), data, canvas);
  new ResizeObserver(() => {
    const width = canvas.clientWidth;
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  }).observe(canvas);
}

function options(width: number, points: readonly RunPoint[]): uPlot.Options {
  const last = points.at(-1)?.step ?? 1;
  const axis = (color: string): uPlot.Axis => ({
    stroke: () => colorOf(color),
    grid: { stroke: () => colorOf('--grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
    size: 44,
  });
  const series = (color: string, scale: string): uPlot.Series => ({
    scale,
    stroke: () => colorOf(color),
    width: 2,
    spanGaps: true,
    points: { show: true, size: 7, stroke: () => colorOf(color), fill: () => colorOf('--card') },
  });
  return {
    width,
    height: HEIGHT,
    padding: [8, 0, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: () => [0, Math.max(1, last)] },
      score: { range: (_, low, high) => [low - 0.1 * (high - low || 1), high + 0.1 * (high - low || 1)] },
      votes: { range: () => [0, 100] },
    },
    axes: [
      {
        ...axis('--muted'),
        size: 26,
        space: 40,
        incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 5000],
      },
      { ...axis('--train'), scale: 'score' },
      {
        ...axis('--held'),
        scale: 'votes',
        side: 1,
        grid: { show: false },
        values: (_, ticks) => ticks.map((tick) => `${tick}%`),
      },
    ],
    series: [{}, series('--train', 'score'), series('--held', 'votes')],
    hooks: { draw: [(plot) => drawIntervals(plot, points)] },
  };
}

/** The interval of every win rate, as a line through its dot. */
function drawIntervals(plot: uPlot, points: readonly RunPoint[]): void {
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = colorOf('--held');
  ctx.lineWidth = devicePixelRatio;
  for (const { step, votes } of points) {
    if (!votes) continue;
    const x = plot.valToPos(step, 'x', true);
    const [low, high] = votes.interval.map((share) => plot.valToPos(100 * share, 'votes', true));
    ctx.beginPath();
    ctx.moveTo(x, low);
    ctx.lineTo(x, high);
    ctx.stroke();
  }
  ctx.restore();
}

function describe(points: readonly RunPoint[]): string {
  const parts = points.map(({ step, score, votes }) => {
    const rate = votes ? `, win rate ${Math.round(100 * votes.rate)}%` : '';
    return `step ${step}: score ${score.toFixed(2).replace('-', '−')}${rate}`;
  });
  return `Score and win rate by step. ${parts.join('; ')}.`;
}
