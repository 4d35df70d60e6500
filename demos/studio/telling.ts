/**
 * News of the worker on its way to the page: numbers of steps in bundles, a few times a second; everything else at once, behind
 * the steps that came before it.
 */
import type { Gpu } from 'webalign';
import type { StepEvent } from 'webalign/trainers';
import type { Point } from '../align/messages.ts';
import { toPoint } from '../align/telling.ts';
import { Bundler } from '../shared/bundler.ts';
import { type Pace, paceOf } from '../shared/pace.ts';
import type { Listener, Update } from './messages.ts';

interface Step {
  point: Point;
  pace: Pace;
}

export class Teller {
  private readonly bundler: Bundler<Update, Step>;

  constructor(listener: Listener) {
    this.bundler = new Bundler<Update, Step>(listener, (steps, last) => {
      return { type: 'steps', points: steps.map(({ point }) => point), pace: last.pace };
    });
  }

  tell(update: Update): void {
    this.bundler.tell(update);
  }

  step(event: StepEvent, gpu: Gpu): void {
    this.bundler.add({ point: toPoint(event.step, event.metrics), pace: paceOf(event, gpu) });
  }
}
