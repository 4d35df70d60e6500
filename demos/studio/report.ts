/** The page that is made of a run to be kept: what was learned from, the curves, samples on the way, settings and machine. */

import chartScript from 'text:uplot/dist/uPlot.iife.min.js';
import chartStyle from 'text:uplot/dist/uPlot.min.css';
import { formatBytes } from 'webalign/gpu';
import { counted } from '../../src/base/counted.ts';
import { curves } from '../../src/cli/report/figures.ts';
import { html } from '../../src/cli/report/html.ts';
import { reportPage } from '../../src/cli/report/page.ts';
import {
  type Facts,
  fixed,
  fromTo,
  type Headline,
  percent,
  type SampleCard,
  single,
  whole,
} from '../../src/cli/report/parts.ts';
import { historyOf } from '../align/telling.ts';
import { adviceLines } from './advice.ts';
import type { Exported } from './exports.ts';
import { methodOf } from './methods.ts';
import { policyCurves } from './policy/run.ts';
import { promptText } from './preferences/judgment.ts';
import { runName, type StudioRecord } from './record.ts';
import { samplePrompts } from './samples.ts';
import { LABELS } from './settings.ts';

/** The page's source; it loads nothing. */
export function reportOf(run: Exported): string {
  const { record, state, model } = run;
  const { method, train } = record.lesson;
  const { label, row, count } = methodOf(method);
  const rows = counted(count(train), row);
  const steps = state?.step ?? 0;
  const advice = adviceLines(record, state);
  return reportPage(
    {
      title: `Training report: ${runName(record)}`,
      lead: html`<strong>${model}</strong> was trained with <strong>${label}</strong> on <strong>${rows}</strong> in
<strong>${counted(steps, 'step')}</strong>, in a browser tab. ${advice.join(' ')}`,
      headlines: headlinesOf(run),
      ...samplesOf(record),
      training: {
        about: `${counted(steps, 'step')} over ${rows}, and ${count(record.lesson.heldOut)} held out.`,
        ...curves(state?.log ?? []),
      },
      facts: factsOf(run),
    },
    { script: chartScript, style: chartStyle },
  );
}

/** Of a run on rollouts: the last evaluation. */
function policyHeadlines({ record, state }: Exported): Headline[] {
  const last = policyCurves(record, state)?.heldOut.at(-1);
  if (!last) return [];
  const note = `on held-out prompts, after step ${last.step}`;
  const names = {
    reward: 'Reward',
    kl: 'KL',
    objective: 'Objective J',
    gap: 'Gap to the best policy, at least',
  } as const;
  return Object.entries(names).map(([name, label]) => ({
    name: label,
    value: single(fixed(last[name as keyof typeof names], 2)),
    note,
  }));
}

function headlinesOf(run: Exported): Headline[] {
  const { state, record } = run;
  if (record.policy) return policyHeadlines(run);
  const { train, heldOut } = historyOf(state?.log);
  const last = heldOut.at(-1);
  const [first, end] = [train[0], train.at(-1)];
  const rows: (Headline | false | undefined)[] = [
    first &&
      end && {
        name: 'Loss',
        value: fromTo(fixed(first.loss, 3), fixed(end.loss, 3)),
        note: 'of the first and the last step',
      },
    last && { name: 'Held-out loss', value: single(fixed(last.loss, 3)), note: 'after the last evaluation' },
    last &&
      Number.isFinite(last.accuracy) && {
        name: 'Held-out accuracy',
        value: single(percent(last.accuracy)),
        note: 'of pairs it was not trained on',
      },
  ];
  return rows.flatMap((each) => (each ? [each] : []));
}

function samplesOf(record: StudioRecord) {
  const [before, after] = [record.samples[0], record.samples.at(-1)];
  if (!before || !after || before === after) return {};
  const cards = samplePrompts(record.lesson).map((prompt, i): SampleCard => {
    const text = (texts: readonly string[]) => [(texts[i] ?? '').trim() || '(nothing)'];
    return {
      prompt: promptText(prompt),
      sides: [
        { title: `Step ${before.step}`, kind: 'before', text: text(before.texts) },
        { title: `Step ${after.step}`, kind: 'after', text: text(after.texts) },
      ],
    };
  });
  const about = 'What the model wrote to the first prompts, held-out ones first, without chance.';
  return { samples: { title: 'Before and after', about, cards } };
}

function factsOf({ record, model, gpu, adapter }: Exported): Facts[] {
  const { settings, method, start } = record.lesson;
  const { description, vendor, architecture, software } = gpu.adapter;
  const trained = [...adapter.weights.values()].reduce((sum, { a, b }) => sum + a.length + b.length, 0);
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed';
  return [
    {
      title: 'Run',
      entries: [
        ['Method', methodOf(method).label],
        ['Model', model],
        [
          'Trained',
          `${start ? 'an adapter of an earlier run' : 'a fresh adapter'}, ${whole(trained)} numbers`,
        ],
        ['Begun', new Date(record.startedAt).toISOString()],
      ],
    },
    {
      title: 'Settings',
      entries: methodOf(method).settings.map((name) => [LABELS[name], String(settings[name])]),
    },
    {
      title: 'Machine',
      entries: [
        ['Adapter', software ? `${name} (software, on the CPU)` : name],
        ['GPU memory at most', formatBytes(gpu.memory().peak)],
      ],
    },
  ];
}
