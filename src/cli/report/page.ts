/**
 * A run as one page that anyone can open and keep: what changed, how training went, which stories the model wrote before
 * and after, with which settings and where. Text in, text out; everything it shows is inside, it loads nothing, and its
 * own policy forbids it to.
 */
import { createHash } from 'node:crypto';
import { ratedWords } from '../../data/sentiment.ts';
import { formatBytes } from '../../gpu/errors.ts';
import type { LogEntry } from '../../train/state.ts';
import type { Continuation } from '../continuations.ts';
import { trainedTokens } from '../rollout-summary.ts';
import { type Estimate, errorOfDifference, estimate } from '../statistics.ts';
import type { RunSummary } from '../training.ts';
import { drawCharts, mendLanguage } from './charts.ts';
import { type ChartData, curves, histogram } from './figures.ts';
import { Html, html, scriptJson } from './html.ts';
import { STYLE } from './style.ts';
import type { ChartLibrary } from './uplot.ts';

export interface ReportData {
  summary: RunSummary;
  log: readonly LogEntry[];
  /** Held-out pairs. */
  evalPairs: number;
  openings: readonly string[];
  /** A story for each opening. */
  before: readonly Continuation[];
  after: readonly Continuation[];
  /** Stories shown in full. */
  shown: number;
  kl: Estimate;
  seconds: number;
  /** Numbers in the model's weights. */
  parameters: number;
  /** Settings by name. */
  config: Readonly<Record<string, unknown>>;
  /** Name and value. */
  machine: readonly (readonly [string, string])[];
}

/** The page's source. */
export function reportPage(data: ReportData, library: ChartLibrary): string {
  const sentiments = (stories: readonly Continuation[]) => stories.map((story) => story.sentiment);
  const charts = [...curves(data.log), histogram(sentiments(data.before), sentiments(data.after))];
  const style = `${library.style}${STYLE}`;
  const script = `(${mendLanguage})();\n${library.script}\n(${drawCharts})(uPlot, ${scriptJson(charts)});`;
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${sha256(script)}'`;
  const histogramAt = charts.length - 1;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Alignment report</title>
<style>${new Html(style)}</style>
</head>
<body>
<main>
${opening(data)}
<section aria-labelledby="reward">
<h2 id="reward">What it writes</h2>
<p>${data.before.length} stories before training and ${data.after.length} after, on the same openings, which it was not trained on. A story’s
sentiment is the sum of its words’ ratings in AFINN-165.</p>
<div class="grid">${figure(charts[histogramAt] as ChartData, histogramAt)}</div>
<ul class="keys"><li>${key('before', 'box')}before</li><li>${key('train', 'box')}after</li></ul>
</section>
<section aria-labelledby="stories">
<h2 id="stories">Before and after</h2>
<p>The first ${data.shown} of them, not chosen. Words that count are marked.</p>
<div class="grid">${data.openings.slice(0, data.shown).map((text, i) => story(text, data.before[i], data.after[i]))}</div>
</section>
<section aria-labelledby="training">
<h2 id="training">Training</h2>
<p>${data.summary.steps} steps over ${data.summary.pairs} pairs, and ${data.evalPairs} pairs held out.</p>
<div class="grid charts">${charts.slice(0, histogramAt).map(figure)}</div>
<ul class="keys"><li>${key('train-faint')}a batch</li><li>${key('train')}smoothed</li><li>${key('held', 'dot')}held out</li></ul>
${tables(charts, histogramAt)}
</section>
<section class="grid facts" aria-label="Settings and machine">
${facts(
  'Settings',
  Object.entries(data.config).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : String(value),
  ]),
)}
${facts('Machine', [...data.machine, ...running(data)])}
</section>
</main>
<footer>Made by webalign. The page holds everything it shows and loads nothing.</footer>
<script>${new Html(script)}</script>
</body>
</html>
`.source;
}

/** Title, a sentence, and the headline figures. */
function opening({ summary, before, after, kl, seconds, parameters, evalPairs }: ReportData): Html {
  const [was, is] = [before, after].map((stories) => estimate(stories.map((each) => each.sentiment))) as [
    Estimate,
    Estimate,
  ];
  const error = errorOfDifference(was, is);
  const rise = is.mean - was.mean;
  const accuracy = summary.eval?.['rewards/accuracies'];
  return html`<header>
<h1>A model learns to tell gladder stories</h1>
<p class="lead">A language model of <strong>${whole(parameters)} parameters</strong> was trained with DPO on <strong>${whole(summary.pairs ?? 0)} pairs</strong>
of its own stories, to prefer the gladder one. Everything took <strong>${duration(seconds)}</strong> through WebGPU.</p>
<dl class="grid heads">
${headline('Mean sentiment', html`<small>${fixed(was.mean, 1)} →</small> <em>${fixed(is.mean, 1)}</em>`, `${rise >= 0 ? '+' : ''}${fixed(rise, 2)} ± ${fixed(error, 2)}, ${fixed(rise / error, 0)} standard errors`)}
${headline('Held-out accuracy', html`<em>${accuracy === undefined ? '–' : `${fixed(100 * accuracy, 1)}%`}</em>`, `of ${evalPairs} pairs it was not trained on`)}
${headline('KL to the model it was', html`<em>${fixed(kl.mean, 1)}</em> <small>± ${fixed(kl.standardError, 1)}</small>`, 'nats a story, on its own stories')}
${headline('Speed', html`<em>${whole(summary.tokensPerSecond)}</em> <span>tokens/s</span>`, `training, with ${formatBytes(summary.peakBytes)} of GPU memory at most`)}
</dl>
</header>`;
}

function headline(name: string, value: Html, note: string): Html {
  return html`<div class="card"><dt>${name}</dt><dd class="figure">${value}</dd><dd class="note">${note}</dd></div>`;
}

function figure({ title, meaning, series, digits }: ChartData, number: number): Html {
  const ends = series
    .map(({ label, values }) => {
      const numbers = values.filter((value) => value !== null);
      return numbers.length === 0
        ? ''
        : `${label} from ${fixed(numbers[0] as number, digits)} to ${fixed(numbers.at(-1) as number, digits)}`;
    })
    .filter(Boolean);
  return html`<figure class="card"><figcaption><strong>${title}</strong><small>${meaning}</small><span class="now" id="now-${number}"></span></figcaption>
<div class="plot" id="chart-${number}" role="img" aria-label="${title}: ${ends.join('; ')}. The table below has all values."></div></figure>`;
}

function key(color: string, shape = ''): Html {
  return html`<i class="${shape}" style="--color: var(--${color})"></i>`;
}

function story(text: string, before: Continuation | undefined, after: Continuation | undefined): Html {
  return html`<article class="card story"><h3>${text}</h3>${side('Before', 'before', before)}${side('After', 'after', after)}</article>`;
}

function side(title: string, name: string, written: Continuation | undefined): Html {
  const score = written?.sentiment ?? 0;
  const feeling = score > 0 ? 'glad' : score < 0 ? 'sad' : '';
  return html`<div class="side ${name}"><header>${title}<span class="score ${feeling}" title="sentiment">${signed(score)}</span></header>
<p>${marked(written?.text.trim() ?? '')}</p></div>`;
}

/** The text with the words that count marked. */
function marked(text: string): (Html | string)[] {
  const parts: (Html | string)[] = [];
  let at = 0;
  for (const { start, end, rating } of ratedWords(text)) {
    parts.push(
      text.slice(at, start),
      html`<mark class="${rating > 0 ? 'glad' : 'sad'}" title="${signed(rating)}">${text.slice(start, end)}</mark>`,
    );
    at = end;
  }
  return [...parts, text.slice(at)];
}

/** Every value of the charts, for those who cannot see them or want to count. */
function tables(charts: readonly ChartData[], histogramAt: number): Html {
  const lines = charts.slice(0, histogramAt);
  const columns = lines.flatMap(({ title, series, digits }) =>
    series
      .filter(({ kind }) => kind !== 'line')
      .map(({ label, values }) => ({ name: `${title}, ${label}`, values, digits })),
  );
  const bars = charts[histogramAt] as ChartData;
  const counted = bars.series.map(({ label, values }) => ({ name: label, values, digits: 0 }));
  return html`<details><summary>All figures as tables</summary>
${table('Training, by step', 'step', lines[0]?.x ?? [], columns)}${table(`Stories by sentiment`, 'sentiment', bars.x, counted)}</details>`;
}

interface Column {
  name: string;
  values: readonly (number | null)[];
  digits: number;
}

function table(caption: string, axis: string, x: readonly number[], columns: readonly Column[]): Html {
  const cell = ({ values, digits }: Column, row: number) =>
    values[row] == null ? '' : fixed(values[row] as number, digits);
  return html`<div class="scroll" tabindex="0"><table><caption>${caption}</caption>
<thead><tr><th scope="col">${axis}</th>${columns.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${x.map((value, row) => html`<tr><th scope="row">${signedPlain(value)}</th>${columns.map((column) => html`<td>${cell(column, row)}</td>`)}</tr>`)}</tbody></table></div>`;
}

function facts(title: string, entries: readonly (readonly [string, string])[]): Html {
  return html`<div class="card"><h2>${title}</h2><dl>${entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></div>`;
}

function running({ summary, seconds }: ReportData): [string, string][] {
  return [
    ['Time', duration(seconds)],
    ['Tokens trained on', whole(trainedTokens(summary))],
    ['Tokens per second', whole(summary.tokensPerSecond)],
    ['GPU memory at most', formatBytes(summary.peakBytes)],
    ['Kernels', [...new Set(Object.values(summary.variants))].join(', ')],
  ];
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64');
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function fixed(value: number, digits: number): string {
  return value.toFixed(digits).replace('-', '−');
}

function signedPlain(value: number): string {
  return String(value).replace('-', '−');
}

function signed(value: number): string {
  return value > 0 ? `+${value}` : signedPlain(value);
}

function duration(seconds: number): string {
  const rounded = Math.round(seconds);
  const minutes = Math.floor(rounded / 60);
  return minutes > 0 ? `${minutes}\u00a0min ${rounded % 60}\u00a0s` : `${rounded}\u00a0s`;
}
