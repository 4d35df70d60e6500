/** The building blocks of a report: headline figures, charts, tables, texts side by side, lists of facts. */
import type { ChartData, Series, SeriesKind } from './figures.ts';
import { type Html, html } from './html.ts';

export interface Headline {
  name: string;
  value: Html;
  note: string;
}

export function headline({ name, value, note }: Headline): Html {
  return html`<div class="card"><dt>${name}</dt><dd class="figure">${value}</dd><dd class="note">${note}</dd></div>`;
}

/** The change from one figure to another. */
export function fromTo(before: string, after: string): Html {
  return html`<small>${before} →</small> <em>${after}</em>`;
}

/** A single figure with its unit. */
export function single(value: string, unit = ''): Html {
  return html`<em>${value}</em> <span>${unit}</span>`;
}

/** The placeholder of chart number `number`. */
export function figure({ title, meaning, series, digits }: ChartData, number: number): Html {
  const ends = series
    .map(({ label, values }) => {
      const numbers = values.filter((value) => value !== null);
      return numbers.length === 0
        ? ''
        : `${label} from ${fixed(numbers[0], digits)} to ${fixed(numbers.at(-1)!, digits)}`;
    })
    .filter(Boolean);
  return html`<figure class="card"><figcaption><strong>${title}</strong><small>${meaning}</small><span class="now" id="now-${number}"></span></figcaption>
<div class="plot" id="chart-${number}" role="img" aria-label="${title}: ${ends.join('; ')}. The table below has all values."></div></figure>`;
}

/** The look of each kind of series in a legend: its color and its shape. */
const KEYS: Readonly<Record<SeriesKind, readonly [color: string, shape: string]>> = {
  faint: ['train-faint', ''],
  line: ['train', ''],
  points: ['held', 'dot'],
  before: ['before', 'box'],
  after: ['train', 'box'],
  rejected: ['held', 'box'],
  chosen: ['train', 'box'],
};

/** The legend of charts: each kind of series once. */
export function legend(charts: readonly ChartData[]): Html {
  const series = new Map<SeriesKind, Series>();
  for (const each of charts.flatMap((chart) => chart.series)) series.set(each.kind, each);
  const entries = [...series.values()].map(({ kind, label }) => {
    const [color, shape] = KEYS[kind];
    return html`<li><i class="${shape}" style="--color: var(--${color})"></i>${label}</li>`;
  });
  return html`<ul class="keys">${entries}</ul>`;
}

/** A text of a card, with its score. */
export interface Side {
  title: string;
  kind: 'before' | 'after' | 'chosen' | 'rejected';
  /** May contain marks. */
  text: readonly (Html | string)[];
  /** Shown beside the title, with an explanation. */
  score?: { text: string; meaning: string; mood?: 'glad' | 'sad' | undefined } | undefined;
}

/** A prompt and two continuations of it. */
export interface SampleCard {
  prompt: string;
  sides: readonly Side[];
}

export function sampleCard({ prompt, sides }: SampleCard): Html {
  return html`<article class="card story"><h3>${prompt}</h3>${sides.map(side)}</article>`;
}

function side({ title, kind, text, score }: Side): Html {
  const badge =
    score && html`<span class="score ${score.mood ?? ''}" title="${score.meaning}">${score.text}</span>`;
  return html`<div class="side ${kind}"><header>${title}${badge}</header>
<p>${text}</p></div>`;
}

/** Maximum rows of a table. */
const MOST_ROWS = 200;

/** Every value of the charts that share their x, for people who cannot see the charts or want the numbers. */
export function table(caption: string, charts: readonly ChartData[]): Html {
  const [first] = charts;
  if (!first) return html``;
  const columns = charts.flatMap(({ title, series, digits }) =>
    series
      .filter(({ kind }) => kind !== 'line')
      .map(({ label, values }) => ({
        name: charts.length === 1 ? label : `${title}, ${label}`,
        values,
        digits,
      })),
  );
  const each = Math.ceil(first.x.length / MOST_ROWS) || 1;
  const rows = first.x.map((_, row) => row).filter((row) => (row + 1) % each === 0);
  const cell = ({ values, digits }: (typeof columns)[number], row: number) =>
    values[row] == null ? '' : fixed(values[row], digits);
  const told = each === 1 ? caption : `${caption}, every ${each}th point`;
  return html`<div class="scroll" tabindex="0"><table><caption>${told}</caption>
<thead><tr><th scope="col">${first.axis}</th>${columns.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr><th scope="row">${signedPlain(first.x[row])}</th>${columns.map((column) => html`<td>${cell(column, row)}</td>`)}</tr>`)}</tbody></table></div>`;
}

export interface Facts {
  title: string;
  entries: readonly (readonly [name: string, value: string])[];
  /** Shown on request. */
  folded?: { title: string; entries: readonly (readonly [name: string, value: string])[] };
}

export function facts({ title, entries, folded }: Facts): Html {
  const list = (some: Facts['entries']) =>
    html`<dl>${some.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
  const rest =
    folded &&
    folded.entries.length > 0 &&
    html`<details><summary>${folded.title}</summary>${list(folded.entries)}</details>`;
  return html`<div class="card"><h2>${title}</h2>${list(entries)}${rest}</div>`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  // A value that rounds to 0 has no sign.
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '−');
}

export function signedPlain(value: number): string {
  return String(value).replace('-', '−');
}

export function signed(value: number): string {
  return value > 0 ? `+${value}` : signedPlain(value);
}

export function percent(share: number): string {
  return `${fixed(100 * share, 1)}%`;
}

export function duration(seconds: number): string {
  const rounded = Math.round(seconds);
  const minutes = Math.floor(rounded / 60);
  return minutes > 0 ? `${minutes}\u00a0min ${rounded % 60}\u00a0s` : `${rounded}\u00a0s`;
}

/** A setting's value as text. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(', ');
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}
