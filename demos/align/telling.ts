/**
 * Converts the trainer's events, under TRL's names, to updates for the page. Steps are bundled, so that the page gets a few
 * updates per second however fast the GPU is; everything else is sent immediately, after the preceding steps.
 */
import type { Gpu } from 'webalign';
import {
  comparedAccuracy,
  type Metrics,
  type RunState,
  type StepEvent,
  type TrainEvent,
} from 'webalign/trainers';
import { Bundler } from '../shared/bundler.ts';
import { type Pace, paceOf } from '../shared/pace.ts';
import type { Listener, Point, Update } from './messages.ts';

type ReferenceEvent = Extract<TrainEvent, { type: 'reference' }>;

export class Teller {
  private readonly bundler: Bundler<Update, { point: Point; pace: Pace }>;
  private referenced = 0;

  constructor(
    listener: Listener,
    /** Number of all pairs, for training and held out. */
    private readonly pairs: number,
  ) {
    this.bundler = new Bundler<Update, { point: Point; pace: Pace }>(listener, (steps, last) => {
      return { type: 'steps', points: steps.map(({ point }) => point), pace: last.pace };
    });
  }

  tell(update: Update): void {
    this.bundler.tell(update);
  }

  /** Called before the events of a run, or of its remainder. */
  begin(): void {
    this.referenced = 0;
  }

  /**
   * The trainer scores the two parts of the data one after the other; the page shows them as one. Returns whether both are
   * complete.
   */
  reference({ done, total, cached }: ReferenceEvent): boolean {
    const before = this.referenced;
    if (done === total) this.referenced += total;
    if (!cached) this.tell({ type: 'progress', done: before + done, total: this.pairs });
    return this.referenced === this.pairs;
  }

  step(event: StepEvent, gpu: Gpu): void {
    this.bundler.add({ point: toPoint(event.step, event.metrics), pace: paceOf(event, gpu) });
  }
}

/** `prefix` is `eval_` for a held-out point. */
export function toPoint(step: number, metrics: Metrics, prefix = ''): Point {
  const value = (name: string) => metrics[prefix + name] ?? Number.NaN;
  return {
    step,
    loss: value('loss'),
    margin: value('rewards/margins'),
    accuracy: comparedAccuracy(value('rewards/accuracies'), value('rewards/margins')) ?? Number.NaN,
    logRatio: value('log_ratio/chosen'),
  };
}

/** All points of a run, from its checkpoint. */
export function historyOf(log: RunState['log'] = []): { train: Point[]; heldOut: Point[] } {
  const train = log.filter(({ type }) => type === 'step');
  const heldOut = log.filter(({ type }) => type === 'evaluate');
  return {
    train: train.map(({ step, metrics }) => toPoint(step, metrics)),
    heldOut: heldOut.map(({ step, metrics }) => toPoint(step, metrics, 'eval_')),
  };
}
