/**
 * From the trainer's metrics, under TRL's names, to the dots of the charts: of steps as they come, bundled so that the
 * page hears a few times a second however fast the GPU is, and of a whole run as its checkpoint remembers it.
 */
import type { Metrics } from '../../src/index.ts';
import type { RunState } from '../../src/train/state.ts';
import type { Pace, Point, Update } from './messages.ts';

/** Milliseconds between two bundles. */
const BUNDLE = 100;

/** `prefix` is `eval_` for a held-out dot. */
export function toPoint(step: number, metrics: Metrics, prefix = ''): Point {
  const value = (name: string) => metrics[prefix + name] ?? Number.NaN;
  return {
    step,
    loss: value('loss'),
    margin: value('rewards/margins'),
    accuracy: value('rewards/accuracies'),
    kl: value('kl/k3'),
  };
}

/** All dots of a run so far. */
export function historyOf(log: RunState['log'] = []): { train: Point[]; heldOut: Point[] } {
  const train = log.filter(({ type }) => type === 'step');
  const heldOut = log.filter(({ type }) => type === 'evaluate');
  return {
    train: train.map(({ step, metrics }) => toPoint(step, metrics)),
    heldOut: heldOut.map(({ step, metrics }) => toPoint(step, metrics, 'eval_')),
  };
}

/** Holds steps back until it is time for a bundle, or until something else is told, which keeps the order. */
export class Bundle {
  private points: Point[] = [];
  private pace: Pace | undefined;
  private sentAt = 0;

  constructor(private readonly send: (update: Update) => void) {}

  add(point: Point, pace: Pace): void {
    this.points.push(point);
    this.pace = pace;
    if (performance.now() - this.sentAt >= BUNDLE) this.flush();
  }

  flush(): void {
    if (!this.pace || this.points.length === 0) return;
    this.send({ type: 'steps', points: this.points.splice(0), pace: this.pace });
    this.sentAt = performance.now();
  }
}
