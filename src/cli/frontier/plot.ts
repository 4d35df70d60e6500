/**
 * The frontier as an SVG that stands by itself: light and dark by the reader's choice, a mark and a colour for each family
 * (Okabe and Ito's, which colour-blind readers tell apart), error bars of one standard error. The same numbers give the
 * same bytes.
 */
import { Html, html } from '../report/html.ts';
import { type Frontier, limitAt, type MethodPoint } from './analysis.ts';

const SIZE = { width: 948, height: 600 } as const;
const FRAME = { left: 66, top: 28, right: 742, bottom: 538 } as const;
/** Nats that stand below the axis, far enough apart by their roots. */
const KL_TICKS = [0, 0.25, 1, 2, 4, 6, 9, 12, 16, 20, 25, 30, 36, 49, 64, 81, 100];
/** Best-of-n is marked where n is a power of two. */
const isMarked = (n: number) => Number.isInteger(Math.log2(n));

/** Colour and mark of each family, in the order in which families come. */
const MARKS: readonly { light: string; dark: string; path: string }[] = [
  { light: '#0072b2', dark: '#56b4e9', path: 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z' },
  { light: '#b87500', dark: '#e69f00', path: 'M-5.5 -5.5h11v11h-11z' },
  { light: '#00795a', dark: '#2fc79c', path: 'M0 -7L6.8 5.2H-6.8z' },
  { light: '#d55e00', dark: '#ff8a3d', path: 'M0 -7.5L7.5 0L0 7.5L-7.5 0z' },
  { light: '#b0508a', dark: '#e39ac3', path: 'M0 7L6.8 -5.2H-6.8z' },
  { light: '#6b6100', dark: '#f0e442', path: 'M-2.2 -7h4.4v4.8h4.8v4.4h-4.8v4.8h-4.4v-4.8h-4.8v-4.4h4.8z' },
];

const colours = (tone: 'light' | 'dark') => MARKS.map((mark, i) => `--c${i}:${mark[tone]}`).join(';');

const STYLE = `
:root{--paper:#fffefc;--ink:#1b1c22;--muted:#5c5d66;--grid:#e7e5de;${colours('light')}}
@media (prefers-color-scheme:dark){:root{--paper:#16181e;--ink:#ececf0;--muted:#a8aab6;--grid:#2b2e38;${colours('dark')}}}
text{font:13px system-ui,sans-serif;fill:var(--ink)}
.muted{fill:var(--muted)} .small{font-size:11.5px} .end{text-anchor:end} .middle{text-anchor:middle} .strong{font-weight:600}
.paper{fill:var(--paper)} .grid{stroke:var(--grid)} line,polyline{fill:none}
.optimum{stroke:var(--ink);stroke-width:2.4} .band{fill:var(--ink);opacity:.13} .dashed{stroke-dasharray:6 5}
.best{stroke:var(--muted);stroke-width:1.6;stroke-dasharray:1.5 4;stroke-linecap:round} .ring{fill:var(--paper);stroke:var(--muted);stroke-width:1.6}
.bar{stroke-width:1.3;opacity:.75} .join{stroke-width:1.2;opacity:.4} .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3px}
${MARKS.map((_, i) => `.f${i}{fill:var(--c${i})} .s${i}{stroke:var(--c${i})}`).join('\n')}
`;

interface Place {
  x: number;
  y: number;
}
type Scale = (value: number) => number;

/** Draws it. `title` is read out in place of the picture. */
export function frontierPlot(frontier: Frontier, title: string): string {
  const { best, points } = frontier;
  const families = [...new Set(points.map(({ family }) => family))];
  const look = (family: string) => families.indexOf(family) % MARKS.length;
  const { x, y, ticks, top } = scales(frontier);
  const at = ({ kl, reward }: Pick<MethodPoint, 'kl' | 'reward'>): Place => ({
    x: x(kl.mean),
    y: y(reward.mean),
  });
  const ofBest = ({ kl, reward }: Frontier['best'][number]): Place => ({ x: x(kl), y: y(reward.mean) });
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" width="${SIZE.width}" height="${SIZE.height}" role="img">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
<rect class="paper" width="${SIZE.width}" height="${SIZE.height}" rx="12"/>
${axes(ticks, x, y)}
${optimum(frontier, x, y, top)}
<polyline class="best" points="${line(best.map(ofBest))}"/>
${best.filter(({ n }) => n > 1 && isMarked(n)).map((point) => ring(ofBest(point), point.n))}
${families.map((family) => joined(points.filter((point) => point.family === family).map(at), look(family)))}
${points.map((point) => errorBars(point, x, y, look(point.family)))}
${points.map((point) => mark(at(point), look(point.family)))}
${labels(points, at)}
${legend(families, look)}
</svg>
`.source;
}

interface Scales {
  x: Scale;
  y: Scale;
  ticks: { x: number[]; y: number[] };
  /** The reward at the frame's upper edge. */
  top: number;
}

/** Room for every point with its error bars, for best-of-n and for the optimum's curve. */
function scales({ curve, best, points }: Frontier): Scales {
  const right =
    1.06 * Math.max(...points.map(upperKl), ...best.map(({ kl }) => kl), ...curve.map(({ kl }) => kl.mean));
  const rewards = [...points, ...best, ...curve].flatMap(({ reward: { mean, standardError } }) =>
    Number.isNaN(standardError) ? [mean] : [mean - standardError, mean + standardError],
  );
  const [low, high] = [Math.min(...rewards), Math.max(...rewards)];
  const [bottom, top] = [low - 0.03 * (high - low), high + 0.06 * (high - low)];
  return {
    // By the root, along which rewards rise about evenly: small divergences are where the curves part.
    x: (kl) => FRAME.left + (FRAME.right - FRAME.left) * Math.sqrt(Math.max(0, kl) / right),
    y: (reward) => FRAME.bottom - ((FRAME.bottom - FRAME.top) * (reward - bottom)) / (top - bottom),
    ticks: { x: KL_TICKS.filter((kl) => kl <= right), y: ticksOf(bottom, top) },
    top,
  };
}

/** The limit of Theorem 1: solid as far as the curve goes, with two standard errors to both sides, and its tangent. */
function optimum({ curve, best }: Frontier, x: Scale, y: Scale, top: number): Html {
  const limits = curve.map(({ kl }) => ({ kl: kl.mean, ...limitAt(curve, kl.mean) }));
  const end = limits.at(-1) as (typeof limits)[number];
  const last = end.kl + (top - end.mean) / (curve.at(-1) as Frontier['curve'][number]).beta;
  const tangent = Array.from({ length: 25 }, (_, i) => end.kl + ((last - end.kl) * i) / 24);
  const side = (sign: number) =>
    limits.map(({ kl, mean, standardError }) => ({ x: x(kl), y: y(mean + sign * 2 * standardError) }));
  const start = { x: x(0), y: y(best[0]?.reward.mean ?? 0) };
  return html`<polygon class="band" points="${line([...side(1), ...side(-1).reverse()])}"/>
<polyline class="optimum" points="${line([start, ...limits.map(({ kl, mean }) => ({ x: x(kl), y: y(mean) }))])}"/>
<polyline class="optimum dashed" points="${line(tangent.map((kl) => ({ x: x(kl), y: y(limitAt(curve, kl).mean) })))}"/>`;
}

function ring({ x, y }: Place, n: number): Html {
  return html`<circle class="ring" cx="${px(x)}" cy="${px(y)}" r="4"/><text class="muted small halo" x="${px(x + 7)}" y="${px(y + 13)}">${n}</text>
`;
}

const upperKl = ({ kl }: MethodPoint) => kl.mean + kl.standardError;

function axes(ticks: { x: number[]; y: number[] }, x: Scale, y: Scale): Html {
  const { left, right, top, bottom } = FRAME;
  const middle = (top + bottom) / 2;
  return html`${ticks.y.map(
    (
      r,
    ) => html`<line class="grid" x1="${left}" x2="${right}" y1="${px(y(r))}" y2="${px(y(r))}"/><text class="muted end" x="${left - 9}" y="${px(y(r) + 4.5)}">${minus(r)}</text>
`,
  )}${ticks.x.map(
    (
      kl,
    ) => html`<line class="grid" x1="${px(x(kl))}" x2="${px(x(kl))}" y1="${top}" y2="${bottom}"/><text class="muted middle" x="${px(x(kl))}" y="${bottom + 20}">${kl}</text>
`,
  )}<text class="middle" x="${(left + right) / 2}" y="${bottom + 46}">KL to the model it was, in nats a story (axis by its root)</text>
<text class="middle" transform="translate(20 ${middle}) rotate(-90)">reward: mean sentiment of a story</text>`;
}

function joined(places: readonly Place[], look: number): Html {
  const sorted = [...places].sort((a, b) => a.x - b.x);
  return html`${places.length > 1 && html`<polyline class="join s${look}" points="${line(sorted)}"/>`}`;
}

function errorBars({ kl, reward }: MethodPoint, x: Scale, y: Scale, look: number): Html {
  const [cx, cy] = [px(x(kl.mean)), px(y(reward.mean))];
  const [left, right] = [-1, 1].map((sign) => px(x(kl.mean + sign * kl.standardError)));
  const [bottom, top] = [-1, 1].map((sign) => px(y(reward.mean + sign * reward.standardError)));
  return html`<line class="bar s${look}" x1="${left}" x2="${right}" y1="${cy}" y2="${cy}"/><line class="bar s${look}" x1="${cx}" x2="${cx}" y1="${bottom}" y2="${top}"/>
`;
}

function mark({ x, y }: Place, look: number): Html {
  return html`<path class="f${look}" transform="translate(${px(x)} ${px(y)})" d="${MARKS[look]?.path}"/>
`;
}

/** Labels beside their marks, each at the first place where it covers no other label and no mark. */
function labels(points: readonly MethodPoint[], at: (point: MethodPoint) => Place): Html {
  const taken = points.map((point) => boxAround(at(point)));
  const placed = points.map((point) => {
    const { x, y } = at(point);
    const width = 6.2 * point.label.length;
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
    return html`<text class="small halo" x="${px(place.x)}" y="${px(place.y)}">${point.label}</text>
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

function legend(families: readonly string[], look: (family: string) => number): Html {
  const left = FRAME.right + 22;
  const row = (i: number) => FRAME.top + 14 + i * 25;
  const sample = (i: number, name: string, drawn: Html) =>
    html`${drawn}<text x="${left + 38}" y="${row(i) + 4.5}">${name}</text>
`;
  const stroke = (i: number, name: string) =>
    html`<line class="${name}" x1="${left}" x2="${left + 28}" y1="${row(i)}" y2="${row(i)}"/>`;
  return html`${sample(0, 'optimum, Theorem 1', stroke(0, 'optimum'))}${sample(1, 'its tangent', stroke(1, 'optimum dashed'))}${sample(2, 'best of n', html`${stroke(2, 'best')}<circle class="ring" cx="${left + 14}" cy="${row(2)}" r="4"/>`)}${families.map((family, i) => sample(i + 3, family, mark({ x: left + 14, y: row(i + 3) }, look(family))))}
<text class="muted small" x="${left}" y="${row(families.length + 3) + 8}">bars: 1 standard error</text>
<text class="muted small" x="${left}" y="${row(families.length + 3) + 24}">band: 2 standard errors</text>`;
}

/** Round values from `low` to `high`, about eight of them. */
function ticksOf(low: number, high: number): number[] {
  const rough = (high - low) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) as number);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(6)),
  );
}

function line(places: readonly Place[]): string {
  return places.map(({ x, y }) => `${px(x)},${px(y)}`).join(' ');
}

/** A tenth of a pixel is enough. */
function px(value: number): number {
  return Number(value.toFixed(1)) + 0;
}

function minus(value: number): string {
  return String(value).replace('-', '−');
}
