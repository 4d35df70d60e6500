/** Terminal output of a run: one line per kind of event, and the metrics that are shown in it. */
import { counted } from '../base/counted.ts';
import { own } from '../base/lookup.ts';
import type { Progress } from '../base/slices.ts';
import { formatBytes } from '../gpu/errors.ts';
import type { TuningReport } from '../gpu/tuner.ts';
import type { Metrics, StepEvent, TrainEvent } from '../train/events.ts';
import { comparedAccuracy } from '../train/metrics.ts';
import { changeText } from '../train/resume.ts';
import { flagOf } from './flags.ts';
import type { Method } from './method.ts';
import type { RolloutClock } from './rollout-summary.ts';
import type { Terminal } from './terminal.ts';

/** Milliseconds before a message that data is being prepared. */
const QUIET_MS = 2000;

type Teller<Event> = (event: Event, method: Method, to: Terminal, clock: RolloutClock) => void;

const TELLERS: { [Type in TrainEvent['type']]?: Teller<Extract<TrainEvent, { type: Type }>> } = {
  start: ({ plan, resumedFrom, changed = [] }, { rows }, to) => {
    const { examples, evalExamples, totalSteps, trainableParameters, plannedBytes, tuning } = plan;
    for (const line of tuning ? tuningLines(tuning) : []) to.info(line);
    to.info(
      `${counted(examples, rows.replace(/s$/, ''))}, ${evalExamples} held out; ${counted(totalSteps, 'step')}; ${trainableParameters.toLocaleString('en')} trained numbers; ` +
        `about ${formatBytes(plannedBytes)} of GPU memory`,
    );
    if (resumedFrom === undefined) return;
    const changes = changed.map((change) => changeText(change).toString(flagOf));
    to.info(
      `Continuing after step ${resumedFrom}${changes.length > 0 ? `, with ${changes.join(', ')}` : ''}`,
    );
  },
  reference: ({ done, total, cached }, { rows }, to) => {
    if (!cached) to.progress('Reference', done, total, rows);
  },
  writing: ({ tokens, mostTokens }, _, to) => to.glimpse('Writing', tokens, mostTokens, 'tokens at most'),
  step: (event, _, to, clock) =>
    to.progress('Training', event.step, event.totalSteps, stepDetails(event, clock)),
  notice: ({ text }, _, to) => to.info(text),
  evaluate: ({ step, metrics }, _, to) =>
    to.info(`Held out, after step ${step}: ${figures(metrics, 'eval_')}`),
};

/** Shows progress while the data of a run is prepared, if that takes long. */
export function tellsTokenizing({ rows }: Method, to: Terminal): (progress: Progress) => void {
  const begun = performance.now();
  return ({ done, total }) => {
    if (performance.now() - begun > QUIET_MS) to.progress('Tokenizing', done, total, rows);
  };
}

/** A line about the measured variants, and about failures. */
function tuningLines({ shapes, seconds, choices, notices }: TuningReport): string[] {
  const counts = Object.entries(choices).map(([name, count]) => `${name} ${count}`);
  const told = `Tuned ${counted(shapes, 'shape')} in ${seconds.toFixed(1)} s; choices: ${counts.join(', ')}`;
  return shapes > 0 ? [told, ...notices] : notices;
}

/** Prints a line for an event of a run, if the event has one. */
export function tell<Type extends TrainEvent['type']>(
  event: Extract<TrainEvent, { type: Type }>,
  method: Method,
  to: Terminal,
  clock: RolloutClock,
): void {
  const teller = TELLERS[event.type];
  teller?.(event, method, to, clock);
}

function stepDetails({ metrics, tokensPerSecond, secondsLeft }: StepEvent, clock: RolloutClock): string {
  const speeds = clock.speeds();
  const speed = speeds
    ? `writing ${speeds.writing.toFixed(0)}, training ${speeds.training.toFixed(0)} tokens/s`
    : `${tokensPerSecond.toFixed(0)} tokens/s`;
  return `${figures(metrics)} · ${speed} · ${minutes(secondsLeft)} left`;
}

/** A value that rounds to 0 has no sign. */
const rounded = (value: number, digits: number) => value.toFixed(digits).replace(/^-(?=[0.]+$)/, '');

/** The metrics shown in a line, of all that a method logs. */
const FIGURES: Readonly<Record<string, (value: number, of: (name: string) => number | undefined) => string>> =
  {
    loss: (value) => `loss ${rounded(value, 3)}`,
    reward: (value) => `reward ${rounded(value, 2)}`,
    objective: (value, of) => `J ${rounded(value, 2)}${plusMinus(of('objective/standard_error'))}`,
    'kl/sequence': (value) => `KL ${rounded(value, 2)}`,
    'completions/mean_length': (value) => `${rounded(value, 0)} tokens long`,
    'completions/clipped_ratio': (value) => `${percent(value)} cut`,
    optimality_gap: (value, of) => {
      // From few effective samples it is only a lower bound.
      const sign = of('optimality_gap/lower_bound') === 1 ? ' at least' : '';
      return `gap${sign} ${rounded(value, 2)}${plusMinus(of('optimality_gap/standard_error'))}`;
    },
    'rewards/margins': (value) => `margin ${rounded(value, 2)}`,
    'rewards/accuracies': (value, of) => accuracy(value, of('rewards/margins')),
    margin: (value) => `margin ${rounded(value, 2)}`,
    accuracy: (value, of) => accuracy(value, of('margin')),
    // log π − log π_ref of texts that the policy did not write is not a KL.
    'log_ratio/chosen': (value) => `log-ratio of chosen ${rounded(value, 2)}`,
    'log_ratio/rejected': (value) => `of rejected ${rounded(value, 2)}`,
  };

/** Loss, margin, accuracy, log-ratios or KL in one line. */
function figures(metrics: Metrics, prefix = ''): string {
  const of = (name: string) => own(metrics, `${prefix}${name}`);
  const shown = Object.entries(FIGURES).flatMap(([name, show]) => {
    const value = of(name);
    return value === undefined ? [] : [show(value, of)];
  });
  return shown.join(' · ');
}

function accuracy(value: number, margin: number | undefined): string {
  return `accuracy ${percent(comparedAccuracy(value, margin))}`;
}

/** A share as a percentage; a dash if undefined. */
export function percent(share: number | undefined, digits = 0): string {
  return share === undefined ? '–' : `${(100 * share).toFixed(digits)}%`;
}

function plusMinus(standardError: number | undefined): string {
  return standardError === undefined ? '' : ` ± ${standardError.toFixed(2)}`;
}

function minutes(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
