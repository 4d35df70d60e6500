/**
 * Diagnoses of a finished run from its metrics: that it hardly moved the model, or that it degraded it, and what to
 * change. One row per diagnosis, with the reason for its threshold. Pure functions of the log; sentences mention
 * settings by name, so that each front end formats them in its own way.
 */
import { counted } from '../../base/counted.ts';
import { own } from '../../base/lookup.ts';
import { type Sentence, say, setting } from '../../base/sentence.ts';
import type { LogEntry } from '../state.ts';
import type { SampleFigures } from './sample-figures.ts';

/** The data of a run. */
export interface RunFigures {
  log: readonly LogEntry[];
  /** Number of rows trained on. */
  examples: number;
  /** The effective settings. */
  config: { learningRate: number; beta?: number | undefined; maxSteps?: number | undefined };
  /** Rank of the adapter; undefined if all weights train. */
  rank?: number | undefined;
  /** Texts of the model for held-out prompts, if there are any. */
  samples?: { before: SampleFigures; after: SampleFigures } | undefined;
}

export interface Advice {
  diagnosis: 'hardly moved' | 'broken';
  /** The name of a row of `DIAGNOSES`. */
  name: string;
  /** States the problem, and the setting to change. */
  sentence: Sentence;
}

interface Diagnosis {
  name: string;
  diagnosis: Advice['diagnosis'];
  /** The sentence if the diagnosis applies. */
  find(run: Reading): Sentence | undefined;
}

/** Maximum number of diagnoses reported for a run. */
const MOST_ADVICE = 3;
/** Fraction of the steps at each end that is averaged for the beginning and the end of a run, because single batches vary. */
const END = 0.25;

/** A run's metrics, by name. */
class Reading {
  readonly steps: readonly LogEntry[];

  constructor(readonly run: RunFigures) {
    this.steps = run.log.filter(({ type }) => type === 'step');
  }

  /** Value in the first step. */
  first(name: string): number | undefined {
    return own(this.steps[0]?.metrics ?? {}, name);
  }

  /** Values in the first or the last steps. */
  ends(name: string, where: 'begin' | 'end'): number[] {
    const count = Math.max(1, Math.floor(END * this.steps.length));
    const some = where === 'begin' ? this.steps.slice(0, count) : this.steps.slice(-count);
    return some.flatMap(({ metrics }) => own(metrics, name) ?? []);
  }

  /** Values on held-out rows, in order. */
  held(name: string): { step: number; value: number }[] {
    return this.run.log.flatMap(({ type, step, metrics }) => {
      const value = type === 'evaluate' ? own(metrics, `eval_${name}`) : undefined;
      return value === undefined ? [] : [{ step, value }];
    });
  }

  /** The final value: on held-out rows, or else on the last batches. */
  reached(name: string): number | undefined {
    return this.held(name).at(-1)?.value ?? meanOf(this.ends(name, 'end'));
  }

  /** Advice that makes a run move more. */
  get further(): Sentence {
    const { config, rank } = this.run;
    const usual =
      rank !== undefined && config.learningRate < 1e-4 ? ' (adapters usually need 1e-4 to 1e-3)' : '';
    const { length } = this.steps;
    const longer =
      length < 100 ? say` or run for more than ${counted(length, 'step')} (${this.duration})` : '';
    return say`Raise ${setting('learningRate')}, now ${config.learningRate.toExponential()}${usual},${longer}`;
  }

  /** Advice that keeps a policy closer to its start. */
  get nearer(): Sentence {
    const { config, rank } = this.run;
    const pull = config.beta ? say`Raise ${setting('beta')}, now ${config.beta}, or lower` : say`Lower`;
    const smaller = rank !== undefined && rank > 8 ? say` or ${setting('r')}` : '';
    return say`${pull} ${setting('learningRate')}, now ${config.learningRate.toExponential()},${smaller} or run for fewer steps (${this.duration})`;
  }

  get duration(): Sentence {
    return say`${setting((this.run.config.maxSteps ?? -1) > 0 ? 'maxSteps' : 'numTrainEpochs')}`;
  }
}

const LN2 = Math.LN2;

export const DIAGNOSES: readonly Diagnosis[] = [
  {
    // σ(0.1) = 52.5 %: the trained policy prefers the chosen side hardly more often than chance. If completions have
    // changed in log-probability by more than a nat, the model has moved, although it does not separate them.
    name: 'coin toss',
    diagnosis: 'hardly moved',
    find(reading) {
      const isRelative = reading.reached('log_ratio/chosen') !== undefined;
      const margin = reading.reached(isRelative ? 'rewards/margins' : 'margin');
      const moves = ['log_ratio/chosen', 'log_ratio/rejected'].map((name) => reading.reached(name) ?? 0);
      if (margin === undefined || Math.abs(margin) >= 0.1 || moves.some((nats) => Math.abs(nats) >= 1))
        return;
      const accuracy = reading.reached(isRelative ? 'rewards/accuracies' : 'accuracy') ?? 0;
      const despite = accuracy > 0.5 ? `, in spite of the accuracy of ${percent(accuracy)}` : '';
      return say`The run hardly moved the model: a margin of ${margin.toFixed(3)} prefers the chosen completion with a probability of ${percent(sigmoid(margin))}${despite}. ${reading.further}.`;
    },
  },
  {
    // Pinsker: at a KL of 0.02 no set of texts has gained more than √(0.02/2), ten percentage points, of probability.
    name: 'no KL',
    diagnosis: 'hardly moved',
    find(reading) {
      const kl = reading.reached('kl/sequence') ?? reading.reached('objective/kl');
      if (kl === undefined || Math.abs(kl) >= 0.02) return;
      return say`The run hardly moved the model: its completions are only ${kl.toFixed(3)} nats from the reference (KL). ${reading.further}.`;
    },
  },
  {
    // Without a reference: a fall of the loss within two standard errors of its batches is not significant.
    name: 'level loss',
    diagnosis: 'hardly moved',
    find(reading) {
      const measured = [
        'log_ratio/chosen',
        'log_ratio/rejected',
        'margin',
        'reward',
        'kl/sequence',
        'objective/kl',
      ];
      if (reading.steps.length < 8 || measured.some((name) => reading.first(name) !== undefined)) return;
      const [begin, end] = [reading.ends('loss', 'begin'), reading.ends('loss', 'end')];
      const fall = (meanOf(begin) ?? 0) - (meanOf(end) ?? 0);
      if (fall > 2 * Math.hypot(errorOf(begin), errorOf(end))) return;
      return say`The run hardly moved the model: the loss went from ${meanOf(begin)?.toFixed(3) ?? ''} in its first steps to ${meanOf(end)?.toFixed(3) ?? ''} in its last ones, no more than single batches differ. ${reading.further}.`;
    },
  },
  {
    // A fifth of the chosen completions' log-probability. Losses on pairs only depend on the difference of the two sides, so
    // both may fall; the model then writes chosen texts less often than before. Two nats are within the spread of a few tokens.
    name: 'chosen less likely',
    diagnosis: 'broken',
    find(reading) {
      const fell = reading.reached('log_ratio/chosen');
      const logp = reading.reached('logps/chosen');
      if (fell === undefined || logp === undefined || fell > -2) return;
      const before = logp - fell;
      if (fell > 0.2 * before) return;
      return say`The chosen completions have become less likely than before training: from ${before.toFixed(0)} to ${logp.toFixed(0)} nats, ${fell.toFixed(1)} each. ${reading.nearer}.`;
    },
  },
  {
    // The same rows are evaluated each time, so a rise is not sampling noise; five percent allow for small fluctuations.
    name: 'held-out loss rising',
    diagnosis: 'broken',
    find(reading) {
      const held = reading.held('loss');
      const last = held.at(-1);
      // If policy and reference are equal at the start, any rows have the loss of the first step, except for a cross-entropy in it.
      const isExact = reading.first('rewards/margins') === 0 && reading.first('nll_loss') === undefined;
      const begins = isExact ? [{ step: 0, value: reading.first('loss') ?? 0 }] : [];
      const least = [...begins, ...held].reduce(
        (a, b) => (b.value < a.value ? b : a),
        last ?? { step: 0, value: 0 },
      );
      if (!last || last.value <= 1.05 * least.value || least.value <= 0) return;
      const when = least.step === 0 ? 'before training' : `after step ${least.step}`;
      return say`The held-out loss rises: it was ${least.value.toFixed(3)} ${when} and is ${last.value.toFixed(3)} now. Stop earlier (${reading.duration}), lower ${setting('learningRate')}, now ${reading.run.config.learningRate.toExponential()}, or train on more than ${counted(reading.run.examples, 'row')}.`;
    },
  },
  {
    // A few hundred rows can be memorized. A loss below a tenth of its initial value only has gradients from the last outliers.
    name: 'too few rows',
    diagnosis: 'broken',
    find(reading) {
      const { examples } = reading.run;
      const [begin, end] = [reading.first('loss'), meanOf(reading.ends('loss', 'end'))];
      if (reading.first('reward') !== undefined || examples >= 200) return;
      if (begin === undefined || end === undefined || begin <= 0 || end > 0.1 * begin) return;
      return say`The run has memorized its ${counted(examples, 'row')}: their loss is ${end.toPrecision(2)}. Train on more rows, at least a few hundred, or stop earlier (${reading.duration}).`;
    },
  },
  {
    // ln 2: the original model would write each of these tokens half as often as its own.
    name: 'not fluent',
    diagnosis: 'broken',
    find(reading) {
      const { before, after } = reading.run.samples ?? {};
      if (!before || !after || after.fluency > before.fluency - LN2) return;
      return say`The model's texts are no longer fluent: the model before training gives its tokens ${after.fluency.toFixed(2)} nats each, and gave its own ${before.fluency.toFixed(2)}. ${reading.nearer}.`;
    },
  },
  {
    // The same measure if only the KL is known: nats per completion divided by its tokens.
    name: 'far from the reference',
    diagnosis: 'broken',
    find(reading) {
      const kl = reading.reached('kl/sequence') ?? reading.reached('objective/kl');
      const length = reading.reached('completions/mean_length');
      if (kl === undefined || !length || kl < LN2 * length) return;
      return say`The policy is far from the reference: ${kl.toFixed(1)} nats per completion (KL), ${(kl / length).toFixed(2)} per token. ${reading.nearer}.`;
    },
  },
  {
    // The same number of texts for the same prompts: a third of the trigrams that were distinct are now repeats.
    name: 'repeats itself',
    diagnosis: 'broken',
    find(reading) {
      const { before, after } = reading.run.samples ?? {};
      if (!before || !after || after.distinct3 > (2 / 3) * before.distinct3) return;
      return say`The model's texts repeat themselves: ${percent(after.distinct3)} of their trigrams are distinct, compared with ${percent(before.distinct3)} before training. ${reading.nearer}.`;
    },
  },
  {
    // A tenth of the initial entropy: only one answer is left.
    name: 'one answer left',
    diagnosis: 'broken',
    find(reading) {
      if (reading.first('reward') === undefined && reading.first('objective/kl') === undefined) return;
      const [begin, end] = [meanOf(reading.ends('entropy', 'begin')), meanOf(reading.ends('entropy', 'end'))];
      if (begin === undefined || end === undefined || end > 0.1 * begin) return;
      return say`The policy writes nearly the same text every time: its entropy fell from ${begin.toFixed(2)} to ${end.toFixed(2)} nats per token. ${reading.nearer}.`;
    },
  },
  {
    // Half of the texts that used to end, if at least a fifth ended at all.
    name: 'no end',
    diagnosis: 'broken',
    find(reading) {
      const [before, after] = endedOf(reading);
      if (before === undefined || after === undefined || before < 0.2 || after > 0.5 * before) return;
      return say`Fewer of the model's texts end: ${percent(after)} within the length limit, compared with ${percent(before)} before training. ${reading.nearer}.`;
    },
  },
];

/** The diagnoses that apply to a finished run, in table order; empty if there is no problem. */
export function adviceOn(run: RunFigures): Advice[] {
  const reading = new Reading(run);
  if (reading.steps.length === 0) return [];
  const found = DIAGNOSES.flatMap(({ name, diagnosis, find }): Advice[] => {
    const sentence = find(reading);
    return sentence ? [{ name, diagnosis, sentence }] : [];
  });
  const first = found.findIndex(({ diagnosis }) => diagnosis === 'hardly moved');
  return found.filter(({ diagnosis }, i) => diagnosis === 'broken' || i === first).slice(0, MOST_ADVICE);
}

/** Shares of texts that ended by themselves, before and after: of samples, or of the policy's completions during training. */
function endedOf(reading: Reading): (number | undefined)[] {
  const { samples } = reading.run;
  if (samples) return [samples.before.ended, samples.after.ended];
  return (['begin', 'end'] as const).map((where) => {
    const clipped = meanOf(reading.ends('completions/clipped_ratio', where));
    return clipped === undefined ? undefined : 1 - clipped;
  });
}

function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((a, b) => a + b, 0) / values.length;
}

/** Standard error of the mean; infinite for a single value. */
function errorOf(values: readonly number[]): number {
  const mean = meanOf(values) ?? 0;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const { length } = values;
  return length > 1 ? Math.sqrt(squares / (length - 1) / length) : Number.POSITIVE_INFINITY;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}
