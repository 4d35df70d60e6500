/**
 * The interface between the page and its worker: requests of the page, and updates of the worker. Plain data on both sides,
 * so that each can be read, tested or replaced separately. Updates of every step are bundled.
 */
import type { AdapterReport } from 'webalign/gpu';
import type { AdapterFiles } from 'webalign/models';
import type { Pace } from '../shared/pace.ts';
import type { HeldOutPoint, Optimum, PolicyPoint } from '../shared/policy-run.ts';
import type { CommonPhase, CommonUpdate } from '../shared/run-job.ts';
import type { MarkedText } from '../shared/story.ts';
import type { RewardName } from './rewards.ts';

/** The numbers that the user sets before a run, under TRL's and PEFT's names. */
export interface Numbers {
  beta: number;
  learningRate: number;
  maxSteps: number;
  /** Completions per prompt. */
  numGenerations: number;
  promptsPerStep: number;
  /** LoRA rank. */
  r: number;
  seed: number;
}

export interface Settings extends Numbers {
  reward: RewardName;
  /** The typed function, if that is the reward. */
  code: string;
}

/**
 * Stages of this demo besides the common ones: the user's answers, a reward model that learns from pairs, and stories of
 * the original model for estimating the best possible objective.
 */
export type StagePhase = 'judging' | 'reward-model' | 'reference';
export type Phase = CommonPhase | StagePhase;

/** What is known after loading. */
export interface Opened {
  adapter: AdapterReport;
  /** Number of weights of the model. */
  parameters: number;
  prompts: { train: number; heldOut: number };
  /** Completions per held-out prompt. */
  copies: number;
  defaults: Settings;
  /** Stories for testing a typed function. */
  examples: RatedRow[];
}

/** The input of a typed function: a completion's text, and other information about it. */
export interface RatedRow {
  text: string;
  prompt: string;
  /** Its number of tokens, including the end token. */
  tokens: number;
  /** Whether the model ended it, rather than the token limit. */
  ended: boolean;
}

export interface ShownCompletion extends MarkedText {
  reward: number | null;
  advantage: number;
}

/** Completions of a step: those of its first prompts. */
export interface Rollout {
  step: number;
  groups: { prompt: string; completions: ShownCompletion[] }[];
  /** Number of prompts of the step. */
  prompts: number;
}

/** Two drafts of a story, from which the user chooses one. */
export interface Question {
  prompt: string;
  drafts: readonly [string, string];
  /** Number of answers so far, and the minimum for learning. */
  answered: number;
  needed: number;
}

/** The user's answer: which draft is better, neither, or that the reward model should learn now. */
export type AnswerToQuestion = 'first' | 'second' | 'skip' | 'learn';

/** Updates that the worker sends. */
export type Update =
  | CommonUpdate<Phase>
  /** A run starts or resumes: everything known of it so far. */
  | {
      type: 'run';
      settings: Settings;
      totalSteps: number;
      optimum: Optimum | undefined;
      train: PolicyPoint[];
      heldOut: HeldOutPoint[];
    }
  /** The plan of the run, before its first step. */
  | { type: 'plan'; totalSteps: number; plannedBytes: number }
  | { type: 'progress'; done: number; total: number }
  | { type: 'question'; question: Question }
  /** The reward model is ready: its accuracy on its last pairs. */
  | { type: 'fitted'; pairs: number; accuracy: number }
  | { type: 'optimum'; optimum: Optimum; point: HeldOutPoint }
  /** The fraction of a step's completions that is generated. */
  | { type: 'writing'; step: number; share: number }
  | { type: 'rollout'; rollout: Rollout }
  | { type: 'steps'; points: PolicyPoint[]; pace: Pace }
  | { type: 'heldOut'; point: HeldOutPoint };

export type Listener = (update: Update) => void;

/** Requests of the page after loading. Errors in a run are sent as `failed`; others reject. */
export interface RlhfJob {
  readonly opened: Opened;
  /** `judge`: port of the typed function, if that is the reward; its name is used in the log. */
  start(settings: Settings, judge?: JudgePort): Promise<void>;
  /** Stops after the current step and stores a checkpoint. */
  pause(): Promise<void>;
  /** Resumes from the checkpoint, of this visit or an earlier one, with bit-identical results. */
  resume(judge?: JudgePort): Promise<void>;
  /** Ends the run and keeps its adapter. */
  stop(): Promise<void>;
  /** Answers the last question. */
  answer(answer: AnswerToQuestion): void;
  /** Deletes the run stored in this browser. */
  discard(): Promise<void>;
  /** The current adapter, in PEFT's files. */
  adapterFiles(): Promise<AdapterFiles>;
}

export interface JudgePort {
  name: string;
  port: MessagePort;
}
