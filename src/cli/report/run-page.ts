/** The report of a run with any method: its figures, texts before and after, held-out rows, settings and machine. */

import { textAfter } from '../../data/text-stream.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import type { Gpu } from '../../gpu/device.ts';
import { formatBytes } from '../../gpu/errors.ts';
import { LORA_DEFAULTS, resolveConfig } from '../../train/config.ts';
import type { RunPlan } from '../../train/events.ts';
import type { Trainer } from '../../train/trainer.ts';
import type { Method } from '../method.ts';
import type { RunRecord } from '../run-record.ts';
import type { RunSummary } from '../training.ts';
import { dataText } from '../training-data.ts';
import type { Comparison, Measured, TextFigures } from './before-after.ts';
import { curves } from './figures.ts';
import { html } from './html.ts';
import { JUDGED } from './judged.ts';
import type { ReportData } from './page.ts';
import {
  duration,
  type Facts,
  fixed,
  fromTo,
  type Headline,
  percent,
  type SampleCard,
  type Side,
  single,
  whole,
} from './parts.ts';
import { machineFacts, settingFacts } from './run-facts.ts';
import { TEXT_FIGURES, withCut } from './text-figures.ts';

export interface RunPage {
  method: Method;
  record: RunRecord;
  summary: RunSummary;
  plan: RunPlan;
  trainer: Pick<Trainer, 'config' | 'adapter' | 'logHistory' | 'evaluation'>;
  tokenizer: Tokenizer;
  gpu: Pick<Gpu, 'adapter'>;
  /** Undefined if it could not be measured; `problem` has the reason. */
  comparison: Comparison | undefined;
  problem: string | undefined;
  /** Total time, and time of the measurements for the report. */
  seconds: { all: number; report: number };
}

/** Number of held-out rows that are shown. */
const SHOWN_ROWS = 4;

export function runReport(page: RunPage): ReportData {
  const { method, record, summary, plan, trainer, comparison, seconds, gpu } = page;
  const { name, rows } = method;
  const model = record.model.split(/[\\/]/).at(-1) || record.model;
  const bars = comparison && JUDGED[method.judged].bars(comparison);
  const samples = comparison && samplesOf(page, comparison);
  return {
    title: `Training report: ${name} on ${model}`,
    lead: html`<strong>${model}</strong> was trained with <strong>${name}</strong> on <strong>${whole(plan.examples)} ${rows}</strong> in
<strong>${whole(summary.steps)} steps</strong>. It took <strong>${duration(seconds.all)}</strong>, of which this report took ${duration(seconds.report)}.`,
    headlines: HEADLINES.flatMap(({ name, of }) => {
      const found = of(page);
      return found ? [{ name, ...found }] : [];
    }),
    ...(bars && { bars }),
    ...(samples && { samples }),
    training: {
      about: `${summary.steps} steps over ${plan.examples} ${rows}, and ${plan.evalExamples} held out.`,
      ...curves(trainer.logHistory),
    },
    facts: [
      runFacts(page),
      settingFacts({ ...trainer.config, ...record.lora }, defaultsOf(page)),
      machineFacts(gpu, summary, seconds.all, [['Report', duration(seconds.report)]]),
    ],
  };
}

interface HeadlineRow {
  name: string;
  /** Undefined if the run does not have it. */
  of(page: RunPage): Omit<Headline, 'name'> | undefined;
}

const HEADLINES: readonly HeadlineRow[] = [
  {
    name: 'Loss',
    of: ({ summary: { loss } }) => change(loss.first, loss.last, 'of the first and the last step'),
  },
  {
    name: 'Reward',
    of: ({ summary: { reward } }) => change(reward?.first, reward?.last, 'of the first and the last step'),
  },
  {
    name: 'Held-out accuracy',
    of: ({ summary, plan }) => {
      const accuracy = summary.eval?.['rewards/accuracies'] ?? summary.eval?.accuracy;
      if (accuracy === undefined) return undefined;
      return { value: single(percent(accuracy)), note: `of ${plan.evalExamples} it was not trained on` };
    },
  },
  {
    name: 'Held-out loss',
    of: ({ summary }) => {
      const loss = summary.eval?.loss;
      return loss === undefined ? undefined : { value: single(fixed(loss, 3)), note: 'after the last step' };
    },
  },
  ...TEXT_FIGURES.map(({ key, name, show, note }) => ({
    name,
    of: ({ comparison }: RunPage) => figuresOf(comparison, key, show, note),
  })),
  {
    name: 'Speed',
    of: ({ summary }) => ({
      value: single(whole(summary.tokensPerSecond), 'tokens/s'),
      note: `training, with ${formatBytes(summary.peakBytes)} peak GPU memory`,
    }),
  },
];

function change(first: number | undefined, last: number | undefined, note: string) {
  if (first === undefined || last === undefined) return undefined;
  return { value: fromTo(fixed(first, 3), fixed(last, 3)), note };
}

function figuresOf(
  comparison: Comparison | undefined,
  name: keyof TextFigures,
  show: (value: number) => string,
  note: string,
) {
  const [before, after] = [comparison?.figures?.before[name], comparison?.figures?.after[name]];
  if (before === undefined || after === undefined) return undefined;
  return { value: fromTo(show(before), show(after)), note };
}

/** Texts of a policy, or rows with their scores. */
function samplesOf(page: RunPage, comparison: Comparison): ReportData['samples'] {
  const cards = JUDGED[page.method.judged].writes ? written(page, comparison) : scored(page, comparison);
  if (cards.length === 0) return undefined;
  return JUDGED[page.method.judged].writes
    ? {
        title: 'Before and after',
        about:
          `What the model wrote for the first ${cards.length} held-out prompts before and after training, with the same random ` +
          `numbers, without selection. A text that ends with … hit the length limit.`,
        cards,
      }
    : {
        title: 'Rows and their scores',
        about: `The first ${cards.length} held-out pairs, without selection, each with its score before and after training.`,
        cards,
      };
}

function written({ tokenizer }: RunPage, { prompts, before, after }: Comparison): SampleCard[] {
  return prompts.map((prompt, i) => {
    const side = (title: string, kind: Side['kind'], { texts, rewards }: Measured): Side => {
      const text = texts[i];
      const reward = rewards?.[i];
      return {
        title,
        kind,
        text: [
          withCut(
            textAfter(tokenizer, prompt, text?.ids ?? []).trim() || '(nothing)',
            text?.finished ?? 'eos',
          ),
        ],
        score: typeof reward === 'number' ? { text: fixed(reward, 2), meaning: 'reward' } : undefined,
      };
    };
    return {
      prompt: tokenizer.decode(prompt),
      sides: [side('Before', 'before', before), side('After', 'after', after)],
    };
  });
}

function scored({ tokenizer, trainer }: RunPage, { before, after }: Comparison): SampleCard[] {
  return trainer.evaluation.examples.slice(0, SHOWN_ROWS).map(({ prompt, completions }, row) => ({
    prompt: tokenizer.decode(prompt) || '(nothing in common)',
    sides: (['chosen', 'rejected'] as const).map((kind, i) => {
      const at = row * completions.length + i;
      const [was, is] = [before, after].map(({ scores }) => scores[at]);
      return {
        title: kind === 'chosen' ? 'Chosen' : 'Rejected',
        kind,
        text: [textAfter(tokenizer, prompt, completions[i] ?? []).trim()],
        score: { text: `${fixed(was?.value ?? 0, 2)} → ${fixed(is?.value ?? 0, 2)}`, meaning: 'score' },
      };
    }),
  }));
}

function runFacts({ method, record, plan, summary, comparison, problem }: RunPage): Facts {
  const { model, revision, dtype, evalData, rewards, initAdapter, below = [], lora } = record;
  const begins = initAdapter ?? (lora ? 'a new adapter' : 'all weights of the model');
  const all: readonly (readonly [string, string | false | null | undefined])[] = [
    ['Method', method.name],
    ['Model', model],
    ['Revision', revision],
    ['Precision', dtype],
    ['Adapters below', below.join(', ')],
    ['Trained', `${begins}, ${whole(plan.trainableParameters)} numbers`],
    ['Data', dataText(record)],
    ['Held out', evalData ?? `${plan.evalExamples} ${method.rows} of the data`],
    ['Rewards', rewards?.join(', ')],
    ['Written to', summary.out],
    ['Before and after', !comparison && `not measured: ${problem ?? 'the run did not finish'}`],
    ['Fluency', comparison?.figures?.after.fluency === undefined && comparison?.figures && NO_FLUENCY],
  ];
  const entries = all.flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : []));
  return { title: 'Run', entries };
}

const NO_FLUENCY = 'not measured: the untrained model no longer exists';

/** The defaults of the settings. */
function defaultsOf({ method, trainer, record }: RunPage): Record<string, unknown> {
  const { settings } = method;
  const peft = record.lora ?? null;
  const { lossType } = trainer.config as { lossType?: unknown };
  const usual: Record<string, unknown> = { ...resolveConfig(settings, {}, peft) };
  // The options of the losses in use also have defaults.
  const inUse = lossType === undefined ? {} : resolveConfig(settings, { lossType }, peft);
  return { ...LORA_DEFAULTS, ...inUse, ...usual };
}
