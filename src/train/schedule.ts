/**
 * Learning-rate schedules with warm-up, as in transformers' `get_scheduler`. Functions of the step only, so that
 * a resumed run needs no state for them.
 */

interface Shape {
  /** The fraction of the peak rate after the warm-up, by progress from 0 to 1. */
  decay: (progress: number) => number;
  /** Whether warm-up steps apply. */
  warms: boolean;
}

export const SCHEDULES = {
  linear: { decay: (progress) => Math.max(0, 1 - progress), warms: true },
  cosine: { decay: (progress) => Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress))), warms: true },
  constant: { decay: () => 1, warms: false },
  constant_with_warmup: { decay: () => 1, warms: true },
} as const satisfies Record<string, Shape>;

export type SchedulerType = keyof typeof SCHEDULES;

export interface Schedule {
  type: SchedulerType;
  peak: number;
  warmupSteps: number;
  totalSteps: number;
}

/** The part of a run's settings that defines its schedule. `maxSteps` above 0 overrides the epochs. */
export function scheduleOf(
  config: {
    lrSchedulerType: SchedulerType;
    learningRate: number;
    maxSteps: number;
    numTrainEpochs: number;
    warmupSteps: number;
    warmupRatio: number;
  },
  stepsPerEpoch: number,
): Schedule {
  const { maxSteps, numTrainEpochs, warmupSteps, warmupRatio } = config;
  const totalSteps = maxSteps > 0 ? maxSteps : Math.ceil(numTrainEpochs * stepsPerEpoch);
  return {
    type: config.lrSchedulerType,
    peak: config.learningRate,
    warmupSteps: warmupSteps > 0 ? warmupSteps : Math.ceil(warmupRatio * totalSteps),
    totalSteps,
  };
}

/** The rate of a step, counted from 1; the first warm-up step has rate 0, as in transformers. */
export function learningRate({ type, peak, warmupSteps, totalSteps }: Schedule, step: number): number {
  const { decay, warms } = SCHEDULES[type];
  const warmup = warms ? warmupSteps : 0;
  const done = step - 1;
  if (done < warmup) return (peak * done) / Math.max(1, warmup);
  return peak * decay((done - warmup) / Math.max(1, totalSteps - warmup));
}

/** Whether something that happens every so many steps happens after this one; 0 means never. */
export function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}
