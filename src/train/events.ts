/**
 * Events of a trainer: one kind for each thing that a progress bar, a chart or a log shows. Plain
 * data that can be sent to another thread.
 */
import type { MemoryReport } from '../gpu/pool.ts';
import type { TuningReport } from '../gpu/tuner.ts';
import type { SettingChange } from './resume.ts';

/** TRL's names: `loss`, `rewards/margins`, `logps/chosen`, … */
export type Metrics = Record<string, number>;

export interface RunPlan {
  totalSteps: number;
  /** Number of pairs, labeled completions or texts. */
  examples: number;
  evalExamples: number;
  /** Number of trained weights. */
  trainableParameters: number;
  /** Predicted peak of GPU memory in bytes, to within a tenth, including everything on the device; from rehearsing all phases. */
  plannedBytes: number;
  /** Kernel variants used, by class of shapes. */
  variants: Record<string, string>;
  /** The measurements that chose them, if any. */
  tuning: TuningReport | undefined;
}

/** Completions of the policy, one entry each; those of a prompt are adjacent. */
export interface RolloutReport {
  prompts: string[];
  completions: string[];
  rewards: (number | null)[];
  /** The results of each reward function. */
  rewardsByFunction: Record<string, (number | null)[]>;
  advantages: number[];
  metrics: Metrics;
  seconds: { writing: number; rewarding: number; scoring: number };
}

export type TrainEvent =
  /** Before training. `resumedFrom` is the step of the checkpoint, `changed` the settings that differ since then. */
  | {
      type: 'start';
      plan: RunPlan;
      resumedFrom: number | undefined;
      changed?: readonly SettingChange[];
    }
  /** The reference's log-probabilities, once per data set. `cached`: they were stored already. */
  | { type: 'reference'; done: number; total: number; cached: boolean }
  | {
      type: 'step';
      step: number;
      totalSteps: number;
      epoch: number;
      metrics: Metrics;
      tokensPerSecond: number;
      secondsLeft: number;
    }
  | { type: 'evaluate'; step: number; metrics: Metrics }
  /** Completions being written for a step: tokens so far, and the maximum. */
  | { type: 'writing'; step: number; tokens: number; mostTokens: number }
  /** A batch of completions with rewards, before the step learns from it. */
  | ({ type: 'rollout'; step: number } & RolloutReport)
  | { type: 'checkpoint'; step: number }
  /** A problem that does not stop the run, as a sentence for the user. */
  | { type: 'notice'; text: string }
  /** The last event. `completed` is false if a signal stopped the run. */
  | {
      type: 'end';
      step: number;
      completed: boolean;
      tokens: number;
      tokensPerSecond: number;
      memory: MemoryReport;
    };

export type StepEvent = Extract<TrainEvent, { type: 'step' }>;
export type EvaluateEvent = Extract<TrainEvent, { type: 'evaluate' }>;
