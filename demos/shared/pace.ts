/**
 * Speed and memory of a run, updated with every step.
 */
import type { Gpu } from 'webalign';
import type { StepEvent } from 'webalign/trainers';

export interface Pace {
  step: number;
  totalSteps: number;
  tokensPerSecond: number;
  secondsLeft: number;
  /** Bytes of GPU memory: currently in use, and the maximum so far. */
  live: number;
  peak: number;
}

export function paceOf({ step, totalSteps, tokensPerSecond, secondsLeft }: StepEvent, gpu: Gpu): Pace {
  const { live, peak } = gpu.memory();
  return { step, totalSteps, tokensPerSecond, secondsLeft, live, peak };
}
