/**
 * What a trainer tells while it runs: one kind of event for each thing a progress bar, a chart or a log shows. Plain
 * data, safe to send to another thread.
 */
import type { MemoryReport } from '../gpu/pool.ts';
import type { TuningReport } from '../gpu/tuner.ts';
import type { SettingChange } from './resume.ts';

/** TRL's names: `loss`, `rewards/margins`, `logps/chosen`, … */
export type Metrics = Record<string, number>;

export interface RunPlan {
  totalSteps: number;
  /** Pairs, labelled completions or texts. */
  examples: number;
  evalExamples: number;
  /** Numbers that train. */
  trainableParameters: number;
  /** Bytes of GPU memory that the run will hold at its peak, to within a tenth, everything on the device counted, by going through its phases ahead. */
  plannedBytes: number;
  /** Kernel variants that run, by class of shapes. */
  variants: Record<string, string>;
  /** What was measured to choose them, if anything was. */
  tuning: TuningReport | undefined;
}

/** Completions of the policy, one entry each, those of a prompt next to each other. */
export interface RolloutReport {
  prompts: string[];
  completions: string[];
  rewards: (number | null)[];
  /** What each reward function gave. */
  rewardsByFunction: Record<string, (number | null)[]>;
  advantages: number[];
  metrics: Metrics;
  seconds: { writing: number; rewarding: number; scoring: number };
}

export type TrainEvent =
  /** Before anything is trained. `resumedFrom` is the step of the checkpoint, `changed` what is set otherwise since then. */
  | {
      type: 'start';
      plan: RunPlan;
      resumedFrom: number | undefined;
      changed?: readonly SettingChange[];
    }
  /** The reference's log-probabilities, once a dataset. `cached`: they were there already. */
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
  /** Completions on their way for a step: tokens of all that may come. */
  | { type: 'writing'; step: number; tokens: number; mostTokens: number }
  /** A batch of completions with what they earned, before the step learns from them. */
  | ({ type: 'rollout'; step: number } & RolloutReport)
  | { type: 'checkpoint'; step: number }
  /** Something went wrong that the run can do without; a sentence for a person. */
  | { type: 'notice'; text: string }
  /** The last event. `completed` is false where a signal stopped the run. */
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
