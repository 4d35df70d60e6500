/**
 * The frontier as a plot: the optimum's limit, best-of-n, and a mark and a color for each family of methods.
 */
import { type Html, html } from '../../cli/report/html.ts';
import {
  type Axis,
  axes,
  errorBars,
  evenAxis,
  FRAME,
  joined,
  LOOKS,
  labels,
  legend,
  legendMark,
  line,
  mark,
  type Place,
  px,
  type Scale,
  svgDocument,
} from '../shared/svg.ts';
import { type Frontier, limitAt, type MethodPoint } from './analysis.ts';

/** KL ticks in nats, far enough apart on the square-root axis. */
const KL_TICKS = [0, 0.25, 1, 2, 4, 6, 9, 12, 16, 20, 25, 30, 36, 49, 64, 81, 100];
/** Best-of-n is marked if n is a power of two. */
const isMarked = (n: number) => Number.isInteger(Math.log2(n));

const STYLE = `.optimum{stroke:var(--ink);stroke-width:2.4} .plain{stroke:var(--ink);stroke-width:1;opacity:.6} .band{fill:var(--ink);opacity:.13} .dashed{stroke-dasharray:6 5}
.best{stroke:var(--muted);stroke-width:1.6;stroke-dasharray:1.5 4;stroke-linecap:round} .ring{fill:var(--paper);stroke:var(--muted);stroke-width:1.6}
`;

/** Draws the plot. `title` is its text for screen readers. */
export function frontierPlot(frontier: Frontier, title: string): string {
  const { best, points } = frontier;
  const families = [...new Set(points.map(({ family }) => family))];
  const look = (family: string) => families.indexOf(family) % LOOKS;
  const { x: along, y: up, top } = axesOf(frontier);
  const [x, y] = [along.scale, up.scale];
  const at = ({ kl, reward }: Pick<MethodPoint, 'kl' | 'reward'>): Place => ({
    x: x(kl.mean),
    y: y(reward.mean),
  });
  const ofBest = ({ kl, reward }: Frontier['best'][number]): Place => ({ x: x(kl), y: y(reward.mean) });
  return svgDocument(
    title,
    STYLE,
    html`${axes(along, up)}
${optimum(frontier, x, y, top)}
<polyline class="best" points="${line(best.map(ofBest))}"/>
${best.filter(({ n }) => n > 1 && isMarked(n)).map((point) => ring(ofBest(point), point.n))}
${families.map((family) => joined(points.filter((point) => point.family === family).map(at), look(family)))}
${points.map(({ kl, reward, family }) => errorBars(kl, reward, x, y, look(family)))}
${points.map((point) => mark(at(point), look(point.family)))}
${labels(points.map((point) => ({ ...at(point), label: point.label })))}
${key(families, look)}`,
  );
}

interface Axes {
  x: Axis;
  y: Axis;
  /** The reward at the frame's upper edge. */
  top: number;
}

/** Axes that fit every point with its error bars, best-of-n and the optimum's curve. */
function axesOf({ curve, best, points }: Frontier): Axes {
  const right =
    1.06 * Math.max(...points.map(upperKl), ...best.map(({ kl }) => kl), ...curve.map(({ kl }) => kl.mean));
  const rewards = [...points, ...best, ...curve].flatMap(({ reward: { mean, standardError } }) =>
    Number.isNaN(standardError) ? [mean] : [mean - standardError, mean + standardError],
  );
  const [low, high] = [Math.min(...rewards), Math.max(...rewards)];
  const [bottom, top] = [low - 0.03 * (high - low), high + 0.06 * (high - low)];
  return {
    x: {
      name: 'KL to the model it was, in nats a story (axis by its root)',
      // A square-root scale, on which rewards rise almost evenly: the curves differ at small KL.
      scale: (kl) => FRAME.left + (FRAME.right - FRAME.left) * Math.sqrt(Math.max(0, kl) / right),
      ticks: KL_TICKS.filter((kl) => kl <= right),
    },
    y: evenAxis('reward: mean sentiment of a story', bottom, top, 'y'),
    top,
  };
}

/** The limit of Theorem 1: a solid line along the curve, with a band of two standard errors, and its dashed tangent. */
function optimum({ curve, best }: Frontier, x: Scale, y: Scale, top: number): Html {
  const limits = curve.map(({ kl }) => ({ kl: kl.mean, ...limitAt(curve, kl.mean) }));
  const end = limits.at(-1)!;
  const last = end.kl + (top - end.mean) / curve.at(-1)!.beta;
  const tangent = Array.from({ length: 25 }, (_, i) => end.kl + ((last - end.kl) * i) / 24);
  const side = (sign: number) =>
    limits.map(({ kl, mean, standardError }) => ({ x: x(kl), y: y(mean + sign * 2 * standardError) }));
  const start = { x: x(0), y: y(best[0]?.reward.mean ?? 0) };
  const plain = curve.map(({ plain: { kl, reward } }) => ({ x: x(kl.mean), y: y(reward.mean) }));
  return html`<polyline class="plain" points="${line([start, ...plain])}"/>
<polygon class="band" points="${line([...side(1), ...side(-1).reverse()])}"/>
<polyline class="optimum" points="${line([start, ...limits.map(({ kl, mean }) => ({ x: x(kl), y: y(mean) }))])}"/>
<polyline class="optimum dashed" points="${line(tangent.map((kl) => ({ x: x(kl), y: y(limitAt(curve, kl).mean) })))}"/>`;
}

function ring({ x, y }: Place, n: number): Html {
  return html`<circle class="ring" cx="${px(x)}" cy="${px(y)}" r="4"/><text class="muted small halo" x="${px(x + 7)}" y="${px(y + 13)}">${n}</text>
`;
}

const upperKl = ({ kl }: MethodPoint) => kl.mean + kl.standardError;

function key(families: readonly string[], look: (family: string) => number): Html {
  const stroke = (name: string) => (left: number, y: number) =>
    html`<line class="${name}" x1="${left}" x2="${left + 28}" y1="${y}" y2="${y}"/>`;
  const best = (left: number, y: number) =>
    html`${stroke('best')(left, y)}<circle class="ring" cx="${left + 14}" cy="${y}" r="4"/>`;
  return legend(
    [
      { name: 'optimum, Theorem 1', drawn: stroke('optimum') },
      { name: 'not corrected', drawn: stroke('plain') },
      { name: 'its tangent', drawn: stroke('optimum dashed') },
      { name: 'best of n', drawn: best },
      ...families.map((family) => ({ name: family, drawn: legendMark(look(family)) })),
    ],
    ['bars: 1 standard error', 'band: 2 standard errors'],
  );
}
