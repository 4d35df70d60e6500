/**
 * News of the worker on its way to the page: numbers of steps in bundles, a few times a second; everything else at once, behind
 * the steps that came before it.
 */
import type { Gpu } from 'webalign';
import type { EvaluateEvent, StepEvent } from 'webalign/trainers';
import type { Point } from '../align/messages.ts';
import { toPoint } from '../align/telling.ts';
import { Bundler } from '../shared/bundler.ts';
import { type Pace, paceOf } from '../shared/pace.ts';
import { type PolicyPoint, toHeldOutPoint, toPolicyPoint } from '../shared/policy-run.ts';
import type { Listener, Update } from './messages.ts';

interface Step {
  /** Of a run on rows, or of one on rollouts. */
  point: Point | undefined;
  policy: PolicyPoint | undefined;
  pace: Pace;
}

export class Teller {
  private readonly bundler: Bundler<Update, Step>;

  constructor(listener: Listener) {
    this.bundler = new Bundler<Update, Step>(listener, (steps, last) => ({
      type: 'steps',
      points: steps.flatMap(({ point }) => point ?? []),
      policy: steps.flatMap(({ policy }) => policy ?? []),
      pace: last.pace,
    }));
  }

  tell(update: Update): void {
    this.bundler.tell(update);
  }

  /** `isPolicy`: whether the run is one on rollouts. */
  step(event: StepEvent, gpu: Gpu, isPolicy: boolean): void {
    const { step, metrics } = event;
    this.bundler.add({
      point: isPolicy ? undefined : toPoint(step, metrics),
      policy: isPolicy ? toPolicyPoint(step, metrics) : undefined,
      pace: paceOf(event, gpu),
    });
  }

  evaluated({ step, metrics }: EvaluateEvent, isPolicy: boolean): void {
    if (isPolicy) this.tell({ type: 'policyHeldOut', point: toHeldOutPoint(step, metrics) });
    else this.tell({ type: 'heldOut', point: toPoint(step, metrics, 'eval_') });
  }
}
