/**
 * From the trainer's events, under TRL's names, to what the page is told. Steps are bundled, so that the page hears a few
 * times a second however fast the GPU is; everything else goes out at once, behind the steps that came before it.
 */
import type { Gpu, Metrics, TrainEvent } from '../../src/index.ts';
import type { RunState } from '../../src/train/state.ts';
import type { Listener, Pace, Point, Update } from './messages.ts';

/** Milliseconds between two bundles. */
const BUNDLE = 100;

type ReferenceEvent = Extract<TrainEvent, { type: 'reference' }>;
type StepEvent = Extract<TrainEvent, { type: 'step' }>;

export class Teller {
  private points: Point[] = [];
  private pace: Pace | undefined;
  private sentAt = 0;
  private referenced = 0;

  constructor(
    private readonly listener: Listener,
    /** All pairs, trained on and held out. */
    private readonly pairs: number,
  ) {}

  tell(update: Update): void {
    this.flush();
    this.listener(update);
  }

  /** Before the events of a run, or of what is left of it. */
  begin(): void {
    this.referenced = 0;
  }

  /**
   * The trainer scores the two parts of the data one after the other; to the reader it is one thing. Returns whether all
   * of it is there.
   */
  reference({ done, total, cached }: ReferenceEvent): boolean {
    const before = this.referenced;
    if (done === total) this.referenced += total;
    if (!cached) this.tell({ type: 'progress', done: before + done, total: this.pairs });
    return this.referenced === this.pairs;
  }

  step({ step, totalSteps, metrics, tokensPerSecond, secondsLeft }: StepEvent, gpu: Gpu): void {
    const { live, peak } = gpu.memory();
    this.points.push(toPoint(step, metrics));
    this.pace = { step, totalSteps, tokensPerSecond, secondsLeft, live, peak };
    if (performance.now() - this.sentAt >= BUNDLE) this.flush();
  }

  private flush(): void {
    if (!this.pace || this.points.length === 0) return;
    this.listener({ type: 'steps', points: this.points.splice(0), pace: this.pace });
    this.sentAt = performance.now();
  }
}

/** `prefix` is `eval_` for a held-out dot. */
export function toPoint(step: number, metrics: Metrics, prefix = ''): Point {
  const value = (name: string) => metrics[prefix + name] ?? Number.NaN;
  return {
    step,
    loss: value('loss'),
    margin: value('rewards/margins'),
    accuracy: value('rewards/accuracies'),
    kl: value('kl'),
  };
}

/** All dots of a run, as its checkpoint remembers them. */
export function historyOf(log: RunState['log'] = []): { train: Point[]; heldOut: Point[] } {
  const train = log.filter(({ type }) => type === 'step');
  const heldOut = log.filter(({ type }) => type === 'evaluate');
  return {
    train: train.map(({ step, metrics }) => toPoint(step, metrics)),
    heldOut: heldOut.map(({ step, metrics }) => toPoint(step, metrics, 'eval_')),
  };
}
