/**
 * The two criteria against each other: the stages connected by q, the original model, and both criteria at once.
 */
import { html } from '../../cli/report/html.ts';
import {
  axes,
  errorBars,
  evenAxis,
  joined,
  labels,
  legend,
  legendMark,
  mark,
  svgDocument,
} from '../shared/svg.ts';
import type { Point, Tradeoff } from './analysis.ts';

/** The series of each kind of model. */
const KINDS = ['as it was', 'in steps, by q', 'both at once'] as const;
const LOOK: Record<(typeof KINDS)[number], number> = {
  'as it was': 5,
  'in steps, by q': 0,
  'both at once': 3,
};

/** Draws the plot. `title` is its text for screen readers. */
export function tradeoffPlot({ base, scaled, both }: Tradeoff, title: string): string {
  const of = (point: Point, kind: (typeof KINDS)[number], label: string) => ({
    ...point,
    look: LOOK[kind],
    label,
  });
  const points = [
    of(base, 'as it was', 'as it was'),
    ...scaled.map((point) => of(point, 'in steps, by q', labelOf(point))),
    of(both, 'both at once', 'both at once'),
  ];
  const x = evenAxis(
    'calm: minus the strong words and exclamation marks of a story',
    ...range(points.map(({ calm }) => calm)),
    'x',
  );
  const y = evenAxis(
    'gladness: mean sentiment of a story',
    ...range(points.map(({ sentiment }) => sentiment)),
    'y',
  );
  const at = ({ calm, sentiment }: Point) => ({ x: x.scale(calm.mean), y: y.scale(sentiment.mean) });
  return svgDocument(
    title,
    '',
    html`${axes(x, y)}
${joined(scaled.map(at), LOOK['in steps, by q'])}
${points.map(({ calm, sentiment, look }) => errorBars(calm, sentiment, x.scale, y.scale, look))}
${points.map((point) => mark(at(point), point.look))}
${labels(points.map((point) => ({ ...at(point), label: point.label })))}
${legend(
  KINDS.map((name) => ({ name, drawn: legendMark(LOOK[name]) })),
  ['bars: 1 standard error'],
)}`,
  );
}

/** q, and the stage at its ends. */
function labelOf({ q }: Point): string {
  return q === 0 ? 'q 0: the first stage' : q === 1 ? 'q 1: all of the second' : `q ${q}`;
}

/** From the minimum to the maximum including errors, with some margin. */
function range(values: readonly { mean: number; standardError: number }[]): [number, number] {
  const low = Math.min(...values.map(({ mean, standardError }) => mean - standardError));
  const high = Math.max(...values.map(({ mean, standardError }) => mean + standardError));
  const room = 0.06 * (high - low);
  return [low - room, high + room];
}
