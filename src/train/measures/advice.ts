/**
 * What the figures of a finished run say about it: that it hardly moved the model, or that it broke it, and what to set
 * otherwise. A row for each diagnosis, with the reason of its threshold. Pure functions of what was logged; sentences mention
 * settings by name, so that each front end writes them in its own way.
 */
import { counted } from '../../base/counted.ts';
import { own } from '../../base/lookup.ts';
import { type Sentence, say, setting } from '../../base/sentence.ts';
import type { LogEntry } from '../state.ts';
import type { SampleFigures } from './sample-figures.ts';

/** What is known of a run. */
export interface RunFigures {
  log: readonly LogEntry[];
  /** Rows trained on. */
  examples: number;
  /** The settings in force. */
  config: { learningRate: number; beta?: number | undefined; maxSteps?: number | undefined };
  /** Rank of the adapter; undefined where all weights train. */
  rank?: number | undefined;
  /** Texts of the model on prompts that it was not trained on, where some were written. */
  samples?: { before: SampleFigures; after: SampleFigures } | undefined;
}

export interface Advice {
  diagnosis: 'hardly moved' | 'broken';
  /** One of `DIAGNOSES`, by its name. */
  name: string;
  /** Says what was found and which setting helps. */
  sentence: Sentence;
}

interface Diagnosis {
  name: string;
  diagnosis: Advice['diagnosis'];
  /** The sentence where it applies. */
  find(run: Reading): Sentence | undefined;
}

/** Most diagnoses that are told of one run. */
const MOST_ADVICE = 3;
/** Share of the steps at either end whose mean stands for the beginning and the end of a run: single batches scatter. */
const END = 0.25;

/** A run's figures, read by name. */
class Reading {
  readonly steps: readonly LogEntry[];

  constructor(readonly run: RunFigures) {
    this.steps = run.log.filter(({ type }) => type === 'step');
  }

  /** Value in the first step. */
  first(name: string): number | undefined {
    return own(this.steps[0]?.metrics ?? {}, name);
  }

  /** Values of the first, or of the last steps. */
  ends(name: string, where: 'begin' | 'end'): number[] {
    const count = Math.max(1, Math.floor(END * this.steps.length));
    const some = where === 'begin' ? this.steps.slice(0, count) : this.steps.slice(-count);
    return some.flatMap(({ metrics }) => own(metrics, name) ?? []);
  }

  /** Values on rows held out, in turn. */
  held(name: string): { step: number; value: number }[] {
    return this.run.log.flatMap(({ type, step, metrics }) => {
      const value = type === 'evaluate' ? own(metrics, `eval_${name}`) : undefined;
      return value === undefined ? [] : [{ step, value }];
    });
  }

  /** Where the run has come: on the rows held out, or else on its last batches. */
  reached(name: string): number | undefined {
    return this.held(name).at(-1)?.value ?? meanOf(this.ends(name, 'end'));
  }

  /** What makes a run move more. */
  get further(): Sentence {
    const { config, rank } = this.run;
    const usual =
      rank !== undefined && config.learningRate < 1e-4 ? ' (adapters mostly take 1e-4 to 1e-3)' : '';
    const { length } = this.steps;
    const longer = length < 100 ? say` or make more than ${counted(length, 'step')} (${this.duration})` : '';
    return say`Raise ${setting('learningRate')}, now ${config.learningRate.toExponential()}${usual},${longer}`;
  }

  /** What keeps a policy nearer to what it was. */
  get nearer(): Sentence {
    const { config, rank } = this.run;
    const pull = config.beta ? say`Raise ${setting('beta')}, now ${config.beta}, or lower` : say`Lower`;
    const smaller = rank !== undefined && rank > 8 ? say` or ${setting('r')}` : '';
    return say`${pull} ${setting('learningRate')}, now ${config.learningRate.toExponential()},${smaller} or make fewer steps (${this.duration})`;
  }

  get duration(): Sentence {
    return say`${setting((this.run.config.maxSteps ?? -1) > 0 ? 'maxSteps' : 'numTrainEpochs')}`;
  }
}

const LN2 = Math.LN2;

export const DIAGNOSES: readonly Diagnosis[] = [
  {
    // σ(0.1) = 52.5 %: the trained policy prefers the chosen side hardly more often than a coin does. Where completions have
    // become likelier or less likely by more than a nat, it has moved all the same, if not apart.
    name: 'coin toss',
    diagnosis: 'hardly moved',
    find(reading) {
      const isRelative = reading.reached('log_ratio/chosen') !== undefined;
      const margin = reading.reached(isRelative ? 'rewards/margins' : 'margin');
      const moves = ['log_ratio/chosen', 'log_ratio/rejected'].map((name) => reading.reached(name) ?? 0);
      if (margin === undefined || Math.abs(margin) >= 0.1 || moves.some((nats) => Math.abs(nats) >= 1))
        return;
      const accuracy = reading.reached(isRelative ? 'rewards/accuracies' : 'accuracy') ?? 0;
      const despite = accuracy > 0.5 ? `, whatever the accuracy of ${percent(accuracy)} says` : '';
      return say`The run hardly moved the model: a margin of ${margin.toFixed(3)} prefers the chosen completion with a probability of ${percent(sigmoid(margin))}${despite}. ${reading.further}.`;
    },
  },
  {
    // Pinsker: at a KL of 0.02 no set of texts has become likelier by more than √(0.02/2), ten percentage points.
    name: 'no KL',
    diagnosis: 'hardly moved',
    find(reading) {
      const kl = reading.reached('kl/sequence') ?? reading.reached('objective/kl');
      if (kl === undefined || Math.abs(kl) >= 0.02) return;
      return say`The run hardly moved the model: its completions are only ${kl.toFixed(3)} nats from the reference (KL). ${reading.further}.`;
    },
  },
  {
    // Without a reference: what a loss has fallen by is nothing where it is within two standard errors of its batches.
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
      return say`The run hardly moved the model: the loss was ${meanOf(begin)?.toFixed(3) ?? ''} in its first steps and is ${meanOf(end)?.toFixed(3) ?? ''} in its last ones, no more apart than batches are. ${reading.further}.`;
    },
  },
  {
    // A fifth of the log-probability that the chosen completions had. Losses on pairs only see the difference of the two sides, so
    // both may fall; what was chosen is then written less often than before training. Two nats are within a few tokens' scatter.
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
    // The same rows are evaluated each time, so that a rise is no scatter; five percent leave room for a last wobble.
    name: 'held-out loss rising',
    diagnosis: 'broken',
    find(reading) {
      const held = reading.held('loss');
      const last = held.at(-1);
      // Where policy and reference begin alike, the first step has the loss of any rows, but for a cross-entropy in it.
      const isExact = reading.first('rewards/margins') === 0 && reading.first('nll_loss') === undefined;
      const begins = isExact ? [{ step: 0, value: reading.first('loss') ?? 0 }] : [];
      const least = [...begins, ...held].reduce(
        (a, b) => (b.value < a.value ? b : a),
        last ?? { step: 0, value: 0 },
      );
      if (!last || last.value <= 1.05 * least.value || least.value <= 0) return;
      const when = least.step === 0 ? 'before training' : `after step ${least.step}`;
      return say`The held-out loss rises: it was ${least.value.toFixed(3)} ${when} and is ${last.value.toFixed(3)} now. End earlier (${reading.duration}), lower ${setting('learningRate')}, now ${reading.run.config.learningRate.toExponential()}, or train on more than ${counted(reading.run.examples, 'row')}.`;
    },
  },
  {
    // Some hundred rows can be told by heart. A loss below a tenth of where it began leaves no gradient but that of the last odd rows.
    name: 'too few rows',
    diagnosis: 'broken',
    find(reading) {
      const { examples } = reading.run;
      const [begin, end] = [reading.first('loss'), meanOf(reading.ends('loss', 'end'))];
      if (reading.first('reward') !== undefined || examples >= 200) return;
      if (begin === undefined || end === undefined || begin <= 0 || end > 0.1 * begin) return;
      return say`The run has learned its ${counted(examples, 'row')} by heart: the loss on them is ${end.toPrecision(2)}. Train on more rows, some hundreds at least, or end earlier (${reading.duration}).`;
    },
  },
  {
    // ln 2: the model as it was would write each of these tokens half as often as each of its own.
    name: 'not fluent',
    diagnosis: 'broken',
    find(reading) {
      const { before, after } = reading.run.samples ?? {};
      if (!before || !after || after.fluency > before.fluency - LN2) return;
      return say`What the model writes is no longer fluent: the model before training gives its tokens ${after.fluency.toFixed(2)} nats each, and gave its own ${before.fluency.toFixed(2)}. ${reading.nearer}.`;
    },
  },
  {
    // The same measure where only the KL is known: nats a completion over its tokens.
    name: 'far from the reference',
    diagnosis: 'broken',
    find(reading) {
      const kl = reading.reached('kl/sequence') ?? reading.reached('objective/kl');
      const length = reading.reached('completions/mean_length');
      if (kl === undefined || !length || kl < LN2 * length) return;
      return say`The policy has left the reference: its completions are ${kl.toFixed(1)} nats away (KL), ${(kl / length).toFixed(2)} a token. ${reading.nearer}.`;
    },
  },
  {
    // As many texts on the same prompts: a third of the runs of three tokens that were new are repeats now.
    name: 'repeats itself',
    diagnosis: 'broken',
    find(reading) {
      const { before, after } = reading.run.samples ?? {};
      if (!before || !after || after.distinct3 > (2 / 3) * before.distinct3) return;
      return say`What the model writes repeats itself: of its runs of three tokens ${percent(after.distinct3)} are different ones, ${percent(before.distinct3)} before training. ${reading.nearer}.`;
    },
  },
  {
    // A tenth of the choice between tokens that there was: one answer is left.
    name: 'one answer left',
    diagnosis: 'broken',
    find(reading) {
      if (reading.first('reward') === undefined && reading.first('objective/kl') === undefined) return;
      const [begin, end] = [meanOf(reading.ends('entropy', 'begin')), meanOf(reading.ends('entropy', 'end'))];
      if (begin === undefined || end === undefined || end > 0.1 * begin) return;
      return say`The policy writes nearly the same again and again: its entropy fell from ${begin.toFixed(2)} to ${end.toFixed(2)} nats a token. ${reading.nearer}.`;
    },
  },
  {
    // Half of the texts that used to end, where a fifth did at all.
    name: 'no end',
    diagnosis: 'broken',
    find(reading) {
      const [before, after] = endedOf(reading);
      if (before === undefined || after === undefined || before < 0.2 || after > 0.5 * before) return;
      return say`What the model writes ends more seldom: ${percent(after)} within the length that there is, ${percent(before)} before training. ${reading.nearer}.`;
    },
  },
];

/** What there is to say of a finished run, in the order of the table; nothing where its figures are as they should be. */
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

/** Shares of texts that ended by themselves, before and after: of samples, or of what the policy wrote to learn from. */
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

/** Standard error of the mean; without bound where a single value tells nothing of the scatter. */
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
