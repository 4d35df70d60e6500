/**
 * The plots of the page on speed: how many times as long peers take on the same job, and how the cost of a step grows with
 * each quantity that it may depend on. Both axes are logarithmic, so that a proportional cost is a straight line.
 */
import { type Html, html } from '../../../src/cli/report/html.ts';
import {
  type Axis,
  axes,
  FRAME,
  joined,
  legend,
  legendMark,
  mark,
  type Place,
  px,
  svgDocument,
} from '../../../src/studies/shared/svg.ts';
import { OURS } from '../suite.ts';
import type { Row } from './tables.ts';

/** An axis in powers of two, from 2^low to 2^high. */
function doublings(name: string, low: number, high: number, along: 'x' | 'y'): Axis {
  const [from, to] = along === 'x' ? [FRAME.left, FRAME.right] : [FRAME.bottom, FRAME.top];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i));
  return {
    name,
    scale: (value) => from + ((to - from) * (Math.log2(value) - low)) / (high - low),
    ticks: ticks.length > 10 ? ticks.filter((_, i) => i % 2 === 0) : ticks,
  };
}

const STYLE = `.even{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:6 5} .track{stroke:var(--grid);stroke-width:1}
`;

/** The jobs that peers share, one line each: a mark for each peer at its time divided by ours. */
export function peersPlot(rows: readonly Row[], title: string): string {
  const peers = [...new Set(rows.flatMap(({ times }) => Object.keys(times)))].filter((name) => name !== OURS);
  const ratios = rows.flatMap(({ times }) => peers.flatMap((peer) => ratioOf(times, peer) ?? []));
  const low = Math.min(-1, Math.floor(Math.log2(Math.min(...ratios))));
  const high = Math.max(2, Math.ceil(Math.log2(Math.max(...ratios))));
  // Names of jobs need more space than the labels of an axis.
  const left = FRAME.left + 190;
  const x = doublings('times as long as webalign', low, high, 'x');
  const at = (ratio: number) =>
    left + ((x.scale(ratio) - FRAME.left) * (FRAME.right - left)) / (FRAME.right - FRAME.left);
  const step = (FRAME.bottom - FRAME.top) / rows.length;
  const lane = (i: number) => FRAME.top + step * (i + 0.5);
  return svgDocument(
    title,
    STYLE,
    html`${x.ticks.map(
      (
        tick,
      ) => html`<line class="grid" x1="${px(at(tick))}" x2="${px(at(tick))}" y1="${FRAME.top}" y2="${FRAME.bottom}"/><text class="muted middle" x="${px(at(tick))}" y="${FRAME.bottom + 20}">${shortly(tick)}</text>
`,
    )}<line class="even" x1="${px(at(1))}" x2="${px(at(1))}" y1="${FRAME.top}" y2="${FRAME.bottom}"/>
<text class="middle" x="${(left + FRAME.right) / 2}" y="${FRAME.bottom + 46}">${x.name}</text>
${rows.map(({ id, times }, i) => {
  const found = peers.flatMap((peer, look) => {
    const ratio = ratioOf(times, peer);
    return ratio === undefined ? [] : [mark({ x: at(ratio), y: lane(i) }, look)];
  });
  return html`<text class="small end" x="${left - 12}" y="${px(lane(i) + 4)}">${id}</text><line class="track" x1="${left}" x2="${FRAME.right}" y1="${px(lane(i))}" y2="${px(lane(i))}"/>
${found}`;
})}${legend(
  peers.map((name, look) => ({ name, drawn: legendMark(look) })),
  ['dashed: as long as webalign'],
)}`,
  );
}

function ratioOf(times: Row['times'], peer: string): number | undefined {
  const [ours, theirs] = [times[OURS], times[peer]];
  return ours && theirs ? theirs / ours : undefined;
}

function shortly(value: number): string {
  return value < 1 ? `1/${1 / value}` : String(value);
}

/** A quantity that a step's cost may depend on, and the times at its values. */
export interface Curve {
  name: string;
  points: readonly (readonly [size: number, milliseconds: number])[];
}

/** Times divided by the first one, against sizes divided by the first one. */
export function growthPlot(curves: readonly Curve[], title: string): string {
  const relative = curves.map(({ name, points }) => {
    const [size, time] = points[0] as [number, number];
    return { name, points: points.map(([s, t]) => [s / size, t / time] as const) };
  });
  const all = relative.flatMap(({ points }) => points);
  const high = (of: 0 | 1) => Math.ceil(Math.log2(Math.max(...all.map((point) => point[of]))) + 0.1);
  const low = Math.floor(Math.log2(Math.min(...all.map(([, time]) => time))) - 0.1);
  const x = doublings('times the smallest size', 0, high(0), 'x');
  const y = doublings('times as long', low, high(1), 'y');
  const places = (points: readonly (readonly [number, number])[]): Place[] =>
    points.map(([size, time]) => ({ x: x.scale(size), y: y.scale(time) }));
  const even = Math.min(high(0), high(1));
  const line = html`<line class="even" x1="${px(x.scale(1))}" y1="${px(y.scale(1))}" x2="${px(x.scale(2 ** even))}" y2="${px(y.scale(2 ** even))}"/>`;
  const drawn = relative.map(
    ({ points }, look): Html =>
      html`${joined(places(points), look)}${places(points).map((place) => mark(place, look))}`,
  );
  return svgDocument(
    title,
    STYLE,
    html`${axes(x, y)}
${line}
${drawn}
${legend(
  relative.map(({ name }, look) => ({ name, drawn: legendMark(look) })),
  ['dashed: proportional'],
)}`,
  );
}
