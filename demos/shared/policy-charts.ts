/**
 * Four curves of the run: reward, KL, objective (1) with that of the best policy, and the gap between the two.
 */
import { type ChartSpec, Charts, type CurveSpec } from './chart.ts';
import type { HeldOutPoint, Optimum, PolicyPoint } from './policy-run.ts';

const TRAIN: CurveSpec = { name: 'train', label: 'in training', smooth: true };
const HELD_OUT: CurveSpec = { name: 'held', label: 'held out', dots: true };

const SPECS: readonly ChartSpec[] = [
  {
    title: 'Reward',
    meaning: 'of a story, on average',
    digits: 2,
    floor: 0,
    ceiling: 1,
    curves: [TRAIN, HELD_OUT, { name: 'true', label: 'by AFINN, in training', smooth: true }],
  },
  {
    title: 'KL',
    meaning: 'how far it has moved, in nats per story',
    digits: 2,
    floor: 0,
    ceiling: 1,
    curves: [TRAIN, HELD_OUT],
  },
  {
    title: 'Objective J',
    meaning: 'reward − β KL, under β log Z',
    digits: 2,
    floor: 0,
    ceiling: 1,
    curves: [
      TRAIN,
      HELD_OUT,
      { name: 'best', label: 'at best, β log Z, at least', dash: [7, 5] },
      { name: 'own', label: 'at best by its own stories, at least', dots: true, line: false, quiet: true },
    ],
  },
  {
    title: 'Gap',
    meaning: 'β log Z − J, at least: 0 for the best policy',
    digits: 2,
    floor: 0,
    ceiling: 1,
    curves: [HELD_OUT],
  },
];

export class PolicyCharts extends Charts {
  private optimum: Optimum | undefined;

  /** In the element `charts` of the page, or in another one. */
  constructor(parent?: HTMLElement) {
    super(SPECS, parent);
  }

  /** A run starts, or resumes with its known points. */
  goOn(
    totalSteps: number,
    optimum: Optimum | undefined,
    train: readonly PolicyPoint[],
    heldOut: readonly HeldOutPoint[],
  ): void {
    this.begin(totalSteps);
    this.optimum = optimum;
    // The evaluation before the first step comes first.
    const [first] = heldOut;
    if (first?.step === 0) this.addHeldOut(first);
    for (const point of train) this.addTraining(point);
    for (const point of heldOut) if (point.step > 0) this.addHeldOut(point);
  }

  setOptimum(optimum: Optimum): void {
    this.optimum = optimum;
  }

  addTraining({ step, reward, kl, objective, trueReward }: PolicyPoint): void {
    const of = (value: number) => new Map([['train', value]]);
    const rewards = of(reward);
    if (trueReward !== undefined) rewards.set('true', trueReward);
    this.add(step, [rewards, of(kl), this.underBest(of(objective))]);
  }

  addHeldOut({ step, reward, kl, objective, gap, optimum }: HeldOutPoint): void {
    const of = (value: number) => new Map([['held', value]]);
    const values = of(objective).set('own', optimum);
    this.add(step, [of(reward), of(kl), this.underBest(values), of(gap)]);
  }

  private underBest(values: Map<string, number>): Map<string, number> {
    return this.optimum ? values.set('best', this.optimum.mean) : values;
  }
}
