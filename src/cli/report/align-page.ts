/** The report of `webalign align`: stories before and after training, by their sentiment. */

import type { Gpu } from '../../gpu/device.ts';
import { formatBytes } from '../../gpu/errors.ts';
import { ratedWords } from '../../rollout/sentiment.ts';
import type { SampleFigures } from '../../train/measures/sample-figures.ts';
import type { LogEntry } from '../../train/state.ts';
import type { Continuation } from '../continuations.ts';
import { type Estimate, errorOfDifference, estimate } from '../statistics.ts';
import type { RunSummary } from '../training.ts';
import { type ChartData, curves, histogram } from './figures.ts';
import { type Html, html } from './html.ts';
import type { ReportData } from './page.ts';
import { duration, fixed, fromTo, type Side, signed, single, whole } from './parts.ts';
import { machineFacts, settingFacts } from './run-facts.ts';
import { TEXT_FIGURES, withCut } from './text-figures.ts';

export interface AlignReport {
  summary: RunSummary;
  log: readonly LogEntry[];
  /** Held-out pairs. */
  evalPairs: number;
  openings: readonly string[];
  /** One story per opening. */
  before: readonly Continuation[];
  after: readonly Continuation[];
  /** Stories shown in full. */
  shown: number;
  kl: Estimate;
  /** Automatic measures of the stories. */
  samples: { before: SampleFigures; after: SampleFigures };
  seconds: number;
  /** Number of weights of the model. */
  parameters: number;
  /** Settings by name, and their defaults. */
  config: Readonly<Record<string, unknown>>;
  defaults: Readonly<Record<string, unknown>>;
  gpu: Pick<Gpu, 'adapter'>;
}

export function alignReport(report: AlignReport): ReportData {
  const { summary, log, evalPairs, openings, before, after, shown, kl, samples, seconds, parameters } =
    report;
  const [was, is] = [before, after].map((stories) => estimate(sentiments(stories))) as [Estimate, Estimate];
  const error = errorOfDifference(was, is);
  const rise = is.mean - was.mean;
  const accuracy = summary.eval?.['rewards/accuracies'];
  return {
    title: 'A model learns to tell happier stories',
    lead: html`A language model of <strong>${whole(parameters)} parameters</strong> was trained with DPO on <strong>${whole(summary.pairs ?? 0)} pairs</strong>
of its own stories, to prefer the happier one. In total this took <strong>${duration(seconds)}</strong> through WebGPU.`,
    headlines: [
      {
        name: 'Mean sentiment',
        value: fromTo(fixed(was.mean, 1), fixed(is.mean, 1)),
        note: `${rise >= 0 ? '+' : ''}${fixed(rise, 2)} ± ${fixed(error, 2)}, ${fixed(rise / error, 0)} standard errors`,
      },
      {
        name: 'Held-out accuracy',
        value: single(accuracy === undefined ? '–' : `${fixed(100 * accuracy, 1)}%`),
        note: `of ${evalPairs} pairs it was not trained on`,
      },
      {
        name: 'KL to the original model',
        value: html`<em>${fixed(kl.mean, 1)}</em> <small>± ${fixed(kl.standardError, 1)}</small>`,
        note: 'nats per story, on its own stories',
      },
      ...TEXT_FIGURES.map(({ key, name, show, note }) => ({
        name,
        value: fromTo(show(samples.before[key]), show(samples.after[key])),
        note,
      })),
      {
        name: 'Speed',
        value: single(whole(summary.tokensPerSecond), 'tokens/s'),
        note: `training, with ${formatBytes(summary.peakBytes)} of GPU memory at most`,
      },
    ],
    bars: {
      title: 'Sentiment of its stories',
      about:
        `${before.length} stories before training and ${after.length} after, on the same openings, which it was not trained on. ` +
        'A story’s sentiment is the sum of its words’ ratings in AFINN-165. It counts words only: a story can score high and make no sense. ' +
        'Repetition raises fluency, so read it together with distinct-3.',
      charts: [sentimentBars(before, after)],
    },
    samples: {
      title: 'Before and after',
      about: `The first ${shown} of them, without selection. Rated words are marked. A story that ends with … was cut at its length limit.`,
      cards: openings.slice(0, shown).map((prompt, i) => ({
        prompt,
        sides: [side('Before', 'before', before[i]), side('After', 'after', after[i])],
      })),
    },
    training: {
      about: `${summary.steps} steps over ${summary.pairs} pairs, and ${evalPairs} pairs held out.`,
      ...curves(log),
    },
    facts: [settingFacts(report.config, report.defaults), machineFacts(report.gpu, summary, seconds)],
  };
}

const sentiments = (stories: readonly Continuation[]) => stories.map(({ sentiment }) => sentiment);

function sentimentBars(before: readonly Continuation[], after: readonly Continuation[]): ChartData {
  return histogram({
    title: 'Sentiment of the stories',
    meaning: 'stories by the sum of their words’ ratings',
    axis: 'sentiment',
    whole: true,
    sides: [
      { label: 'before', kind: 'before', values: sentiments(before) },
      { label: 'after', kind: 'after', values: sentiments(after) },
    ],
  })!;
}

function side(title: string, kind: Side['kind'], written: Continuation | undefined): Side {
  const score = written?.sentiment ?? 0;
  const mood = score > 0 ? 'glad' : score < 0 ? 'sad' : undefined;
  return {
    title,
    kind,
    text: marked(withCut(written?.text.trim() ?? '', written?.finished ?? 'eos')),
    score: { text: signed(score), meaning: 'sentiment', mood },
  };
}

/** The text with the rated words marked. */
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
