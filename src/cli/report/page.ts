/**
 * A run as one page that anyone can open and keep: what changed, how training went, which texts the model wrote before and
 * after, the settings and the machine. Data in, text out. The page contains everything it shows, loads nothing, and has a
 * policy that forbids loading.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import type { ChartLibrary } from './chart-library.ts';
import { drawCharts, mendLanguage } from './charts.ts';
import type { ChartData } from './figures.ts';
import { Html, html, scriptJson } from './html.ts';
import {
  type Facts,
  facts,
  figure,
  type Headline,
  headline,
  legend,
  type SampleCard,
  sampleCard,
  table,
} from './parts.ts';
import { STYLE } from './style.ts';

export interface ReportData {
  title: string;
  /** One or two sentences on the run. */
  lead: Html;
  headlines: readonly Headline[];
  /** The distribution of values of texts or rows. */
  bars?: { title: string; about: string; charts: readonly ChartData[] };
  samples?: { title: string; about: string; cards: readonly SampleCard[] };
  /** `others` are folded. */
  training: { about: string; main: readonly ChartData[]; others: readonly ChartData[] };
  facts: readonly Facts[];
}

interface Section {
  id: string;
  /** Undefined if the run has no data for it. `chart` assigns a chart its position in the page. */
  body(data: ReportData, chart: (data: ChartData) => Html): Html | undefined;
}

const SECTIONS: readonly Section[] = [
  {
    id: 'values',
    body: ({ bars }, chart) =>
      bars &&
      html`<h2 id="values">${bars.title}</h2>
<p>${bars.about}</p>
<div class="grid charts">${bars.charts.map(chart)}</div>
${legend(bars.charts)}
<details><summary>All values as a table</summary>${bars.charts.map((each) => table(each.title, [each]))}</details>`,
  },
  {
    id: 'samples',
    body: ({ samples }) =>
      samples &&
      html`<h2 id="samples">${samples.title}</h2>
<p>${samples.about}</p>
<div class="grid">${samples.cards.map(sampleCard)}</div>`,
  },
  {
    id: 'training',
    body: ({ training: { about, main, others } }, chart) => html`<h2 id="training">Training</h2>
<p>${about}</p>
<div class="grid charts">${main.map(chart)}</div>
${legend(main)}
${others.length > 0 && html`<details><summary>All other logged metrics</summary><div class="grid charts">${others.map(chart)}</div></details>`}
<details><summary>All values as a table</summary>${table('Training, by step', [...main, ...others])}</details>`,
  },
];

/** The page's source. */
export function reportPage(data: ReportData, library: ChartLibrary): string {
  const charts: ChartData[] = [];
  const chart = (each: ChartData) => figure(each, charts.push(each) - 1);
  const sections = SECTIONS.map(({ id, body }) => {
    const found = body(data, chart);
    return found && html`<section aria-labelledby="${id}">${found}</section>`;
  });
  const style = `${library.style}${STYLE}`;
  const script = `(${mendLanguage})();\n${library.script}\n(${drawCharts})(uPlot, ${scriptJson(charts)});`;
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hashOf(script)}'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${data.title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<main>
<header>
<h1>${data.title}</h1>
<p class="lead">${data.lead}</p>
<dl class="grid heads">${data.headlines.map(headline)}</dl>
</header>
${sections}
<section class="grid facts" aria-label="Settings and machine">${data.facts.map(facts)}</section>
</main>
<footer>Made by webalign. The page holds everything it shows and loads nothing.</footer>
<script>${new Html(script)}</script>
</body>
</html>
`.source;
}

/** The hash by which a content security policy allows a script. */
function hashOf(text: string): string {
  return btoa(String.fromCharCode(...sha256(new TextEncoder().encode(text))));
}
