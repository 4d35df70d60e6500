/**
 * Shared parts of the studies' plots: a standalone SVG in light or dark by the reader's preference, axes, marks with error
 * bars of one standard error, and labels that avoid them. The colors are those of Okabe and Ito, which color-blind readers
 * can distinguish. Equal numbers give equal bytes.
 */
import { Html, html } from '../../cli/report/html.ts';
import type { Estimate } from '../../cli/statistics.ts';

const SIZE = { width: 948, height: 600 } as const;
/** The frame of the axes; the legend is to its right. */
export const FRAME = { left: 66, top: 28, right: 742, bottom: 538 } as const;

/** Color and mark of each series, by index. */
const MARKS: readonly { light: string; dark: string; path: string }[] = [
  { light: '#0072b2', dark: '#56b4e9', path: 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z' },
  { light: '#b87500', dark: '#e69f00', path: 'M-5.5 -5.5h11v11h-11z' },
  { light: '#00795a', dark: '#2fc79c', path: 'M0 -7L6.8 5.2H-6.8z' },
  { light: '#d55e00', dark: '#ff8a3d', path: 'M0 -7.5L7.5 0L0 7.5L-7.5 0z' },
  { light: '#b0508a', dark: '#e39ac3', path: 'M0 7L6.8 -5.2H-6.8z' },
  { light: '#6b6100', dark: '#f0e442', path: 'M-2.2 -7h4.4v4.8h4.8v4.4h-4.8v4.8h-4.4v-4.8h-4.8v-4.4h4.8z' },
  {
    light: '#1b1c22',
    dark: '#ececf0',
    path: 'M0 -8.5L2.4 -2.8L8.5 -2.6L3.8 1.3L5.3 7.4L0 4L-5.3 7.4L-3.8 1.3L-8.5 -2.6L-2.4 -2.8z',
  },
];
/** Number of different series. */
export const LOOKS = MARKS.length;

const colours = (tone: 'light' | 'dark') => MARKS.map((mark, i) => `--c${i}:${mark[tone]}`).join(';');

const STYLE = `
:root{--paper:#fffefc;--ink:#1b1c22;--muted:#5c5d66;--grid:#e7e5de;${colours('light')}}
@media (prefers-color-scheme:dark){:root{--paper:#16181e;--ink:#ececf0;--muted:#a8aab6;--grid:#2b2e38;${colours('dark')}}}
text{font:13px system-ui,sans-serif;fill:var(--ink)}
.muted{fill:var(--muted)} .small{font-size:11.5px} .end{text-anchor:end} .middle{text-anchor:middle} .strong{font-weight:600}
.paper{fill:var(--paper)} .grid{stroke:var(--grid)} line,polyline{fill:none}
.bar{stroke-width:1.3;opacity:.75} .join{stroke-width:1.2;opacity:.4} .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3px}
${MARKS.map((_, i) => `.f${i}{fill:var(--c${i})} .s${i}{stroke:var(--c${i})}`).join('\n')}
`;

export interface Place {
  x: number;
  y: number;
}
export type Scale = (value: number) => number;

/** The plot as text. `title` is its text for screen readers; `style` adds rules for this plot only. */
export function svgDocument(title: string, style: string, body: Html): string {
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" width="${SIZE.width}" height="${SIZE.height}" role="img">
<title>${title}</title>
<style>${new Html(STYLE + style)}</style>
<rect class="paper" width="${SIZE.width}" height="${SIZE.height}" rx="12"/>
${body}
</svg>
`.source;
}

export interface Axis {
  scale: Scale;
  ticks: readonly number[];
  /** The quantity and its unit. */
  name: string;
}

/** A linear axis from `low` to `high`, along the frame's lower or left edge. */
export function evenAxis(name: string, low: number, high: number, along: 'x' | 'y'): Axis {
  const [from, to] = along === 'x' ? [FRAME.left, FRAME.right] : [FRAME.bottom, FRAME.top];
  return {
    name,
    scale: (value) => from + ((to - from) * (value - low)) / (high - low),
    ticks: ticksOf(low, high),
  };
}

export function axes(x: Axis, y: Axis): Html {
  const { left, right, top, bottom } = FRAME;
  const across = (at: number, value: number) =>
    html`<line class="grid" x1="${left}" x2="${right}" y1="${px(at)}" y2="${px(at)}"/><text class="muted end" x="${left - 9}" y="${px(at + 4.5)}">${minus(value)}</text>
`;
  const up = (at: number, value: number) =>
    html`<line class="grid" x1="${px(at)}" x2="${px(at)}" y1="${top}" y2="${bottom}"/><text class="muted middle" x="${px(at)}" y="${bottom + 20}">${minus(value)}</text>
`;
  return html`${y.ticks.map((value) => across(y.scale(value), value))}${x.ticks.map((value) => up(x.scale(value), value))}<text class="middle" x="${(left + right) / 2}" y="${bottom + 46}">${x.name}</text>
<text class="middle" transform="translate(20 ${(top + bottom) / 2}) rotate(-90)">${y.name}</text>`;
}

/** A faint line through places, from left to right. */
export function joined(places: readonly Place[], look: number): Html {
  const sorted = [...places].sort((a, b) => a.x - b.x);
  return html`${places.length > 1 && html`<polyline class="join s${look}" points="${line(sorted)}"/>`}`;
}

export function errorBars(x: Estimate, y: Estimate, scaleX: Scale, scaleY: Scale, look: number): Html {
  const [cx, cy] = [px(scaleX(x.mean)), px(scaleY(y.mean))];
  const [left, right] = [-1, 1].map((sign) => px(scaleX(x.mean + sign * x.standardError)));
  const [bottom, top] = [-1, 1].map((sign) => px(scaleY(y.mean + sign * y.standardError)));
  return html`<line class="bar s${look}" x1="${left}" x2="${right}" y1="${cy}" y2="${cy}"/><line class="bar s${look}" x1="${cx}" x2="${cx}" y1="${bottom}" y2="${top}"/>
`;
}

export function mark({ x, y }: Place, look: number): Html {
  return html`<path class="f${look}" transform="translate(${px(x)} ${px(y)})" d="${MARKS[look]?.path}"/>
`;
}

/** Labels beside their marks, each at the first position where it covers no other label and no mark. */
export function labels(points: readonly (Place & { label: string })[]): Html {
  const taken = points.map(boxAround);
  const placed = points.map(({ x, y, label }) => {
    const width = 6.2 * label.length;
    const candidates = [
      { x: x + 10, y: y + 16 },
      { x: x + 10, y: y - 8 },
      { x: x - 10 - width, y: y - 8 },
      { x: x - 10 - width, y: y + 16 },
      { x: x - width / 2, y: y + 27 },
      { x: x - width / 2, y: y - 20 },
      { x: x + 10, y: y + 31 },
    ];
    const box = (place: Place) => ({
      left: place.x,
      right: place.x + width,
      top: place.y - 10,
      bottom: place.y + 2,
    });
    const free = candidates.find(
      (place) => box(place).right < FRAME.right && taken.every((other) => !overlap(box(place), other)),
    );
    const place = free ?? (candidates[0] as Place);
    taken.push(box(place));
    return html`<text class="small halo" x="${px(place.x)}" y="${px(place.y)}">${label}</text>
`;
  });
  return html`${placed}`;
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}
const boxAround = ({ x, y }: Place): Box => ({ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 });
const overlap = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** A row of the legend: the drawing and its name. Notes are below all rows. */
export function legend(
  rows: readonly { name: string; drawn: (left: number, y: number) => Html }[],
  notes: readonly string[],
): Html {
  const left = FRAME.right + 22;
  const row = (i: number) => FRAME.top + 14 + i * 25;
  const below = row(rows.length) + 8;
  return html`${rows.map(
    (
      { name, drawn },
      i,
    ) => html`${drawn(left, row(i))}<text x="${left + 38}" y="${row(i) + 4.5}">${name}</text>
`,
  )}${notes.map(
    (note, i) => html`
<text class="muted small" x="${left}" y="${below + 16 * i}">${note}</text>`,
  )}`;
}

/** The mark of a series, for a row of the legend. */
export function legendMark(look: number): (left: number, y: number) => Html {
  return (left, y) => mark({ x: left + 14, y }, look);
}

/** Round values from `low` to `high`, about eight of them. */
export function ticksOf(low: number, high: number): number[] {
  const rough = (high - low) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(6)),
  );
}

/** Places as `points` of a polyline or polygon. */
export function line(places: readonly Place[]): string {
  return places.map(({ x, y }) => `${px(x)},${px(y)}`).join(' ');
}

/** A resolution of a tenth of a pixel is enough. */
export function px(value: number): number {
  return Number(value.toFixed(1)) + 0;
}

function minus(value: number): string {
  return String(value).replace('-', '−');
}
