/**
 * Both rewards against KL for each method: the true one as filled marks, the learned one as open marks, in the same units.
 * Where the lines diverge, the reward model is being exploited.
 */
import { html } from '../../cli/report/html.ts';
import type { Estimate } from '../../cli/statistics.ts';
import {
  axes,
  errorBars,
  evenAxis,
  joined,
  labels,
  legend,
  legendMark,
  mark,
  px,
  svgDocument,
} from '../shared/svg.ts';
import type { Point, Rlhf } from './analysis.ts';

const STYLE = '.open{fill:var(--paper);stroke-width:1.6} .proxy{stroke-dasharray:5 4}\n';

/** Draws the plot. `title` is its text for screen readers. */
export function rlhfPlot({ base, roads }: Rlhf, title: string): string {
  const none = { mean: 0, standardError: 0 };
  const start = { kl: none, gold: base.gold, scaled: base.gold, step: 0 };
  const paths = roads.map(({ points }) => [start, ...points]);
  const all = paths.flat();
  const x = evenAxis('KL to the model it was, in nats a story', ...range(all.map(({ kl }) => kl)), 'x');
  const y = evenAxis(
    'reward: mean sentiment of a story',
    ...range(all.flatMap(({ gold, scaled }) => [gold, scaled])),
    'y',
  );
  type Drawn = Pick<Point, 'kl' | 'gold' | 'scaled' | 'step'>;
  const at = (by: 'gold' | 'scaled') => (point: Drawn) => ({
    x: x.scale(point.kl.mean),
    y: y.scale(point[by].mean),
  });
  const [gold, proxy] = [at('gold'), at('scaled')];
  const ring = (point: Drawn, look: number) => {
    const place = proxy(point);
    return html`<circle class="open s${look}" cx="${px(place.x)}" cy="${px(place.y)}" r="4"/>
`;
  };
  return svgDocument(
    title,
    STYLE,
    html`${axes(x, y)}
${paths.map((path, look) => html`${joined(path.map(gold), look)}<g class="proxy">${joined(path.map(proxy), look)}</g>`)}
${paths.map((path, look) => path.slice(1).map((point) => ring(point, look)))}
${paths.map((path, look) => path.map(({ kl, gold }) => errorBars(kl, gold, x.scale, y.scale, look)))}
${paths.map((path, look) => path.slice(1).map((point) => mark(gold(point), look)))}
${labels(paths.map((path) => ({ ...gold(path.at(-1) as Drawn), label: `after ${path.at(-1)?.step}` })))}
${legend(
  roads.map(({ road: { name } }, look) => ({
    name,
    drawn: legendMark(look),
  })),
  ['filled: true reward', 'open: learned reward,', 'in units of the true one', 'bars: 1 standard error'],
)}`,
  );
}

/** From the minimum to the maximum including errors, with some margin. */
function range(values: readonly Estimate[]): [number, number] {
  const low = Math.min(...values.map(({ mean, standardError }) => mean - standardError));
  const high = Math.max(...values.map(({ mean, standardError }) => mean + standardError));
  const room = 0.06 * (high - low);
  return [low - room, high + room];
}
