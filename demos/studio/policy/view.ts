/** A run on rollouts on the tab Train: its curves in the place of those of a run on rows, and the gap to the best policy in words. */
import { byId, setText } from '../../shared/dom.ts';
import { PolicyCharts } from '../../shared/policy-charts.ts';
import type { HeldOutPoint, Optimum, PolicyPoint } from '../../shared/policy-run.ts';
import type { PolicyCurves } from './curves.ts';
import { gapSentence } from './gap.ts';

export class PolicyView {
  private readonly curves = byId('policy-charts', HTMLDivElement);
  private readonly charts = new PolicyCharts(this.curves);
  private readonly gap = byId('gap-text', HTMLElement);
  private readonly writing = byId('policy-writing', HTMLElement);
  private first: HeldOutPoint | undefined;
  private optimum: Optimum | undefined;

  /** Shows the curves of this kind of run, or of one on rows. */
  show(isPolicy: boolean): void {
    this.curves.hidden = !isPolicy;
    byId('charts', HTMLDivElement).hidden = isPolicy;
    byId('best-key', HTMLElement).hidden = !isPolicy;
    byId('policy-notes', HTMLElement).hidden = !isPolicy;
  }

  goOn(totalSteps: number, { train, heldOut, optimum }: PolicyCurves): void {
    this.charts.goOn(totalSteps, optimum, train, heldOut);
    this.optimum = optimum;
    this.first = heldOut.find(({ step }) => step === 0);
    this.tell(heldOut.at(-1));
    this.quiet();
  }

  setTotal(totalSteps: number): void {
    this.charts.setTotal(totalSteps);
  }

  measured(optimum: Optimum, point: HeldOutPoint): void {
    this.charts.setOptimum(optimum);
    this.charts.addHeldOut(point);
    this.optimum = optimum;
    this.first = point;
    this.tell(point);
  }

  steps(points: readonly PolicyPoint[]): void {
    for (const point of points) this.charts.addTraining(point);
  }

  heldOut(point: HeldOutPoint): void {
    this.charts.addHeldOut(point);
    this.tell(point);
  }

  /** How much of a step's rollouts is written. */
  progress(step: number, share: number): void {
    setText(this.writing, `Writing for step ${step}: ${Math.round(100 * share)}%`);
  }

  /** Nothing is written. */
  quiet(): void {
    setText(this.writing, '');
  }

  private tell(point: HeldOutPoint | undefined): void {
    setText(this.gap, point ? gapSentence(point, this.first, this.optimum) : '');
  }
}
