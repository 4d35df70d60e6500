/**
 * The contract between the page and its worker: what the page may ask for, and what the worker tells. Plain data on both
 * sides, so that either can be read, tested or replaced alone. What comes with every step travels in bundles.
 */
import type { AdapterReport } from 'webalign/gpu';
import type { AdapterFiles } from 'webalign/models';
import type { Pace } from '../shared/pace.ts';
import type { CommonPhase, CommonUpdate } from '../shared/run-job.ts';
import type { MarkedText } from '../shared/story.ts';
import type { RewardName } from './rewards.ts';

/** Numbers that a person sets before a run. TRL's and PEFT's names. */
export interface Numbers {
  beta: number;
  learningRate: number;
  maxSteps: number;
  /** Completions of each prompt. */
  numGenerations: number;
  promptsPerStep: number;
  /** LoRA rank. */
  r: number;
  seed: number;
}

export interface Settings extends Numbers {
  reward: RewardName;
  /** The function that was typed in, where that is the reward. */
  code: string;
}

/**
 * Stages of this run beside those of every one: a person's answers, a reward model that learns from pairs, and stories of the
 * untouched model for what could be reached at best.
 */
export type StagePhase = 'judging' | 'reward-model' | 'reference';
export type Phase = CommonPhase | StagePhase;

/** What is known once everything is loaded. */
export interface Opened {
  adapter: AdapterReport;
  /** Numbers in the model's weights. */
  parameters: number;
  prompts: { train: number; heldOut: number };
  /** Completions of each held-out prompt. */
  copies: number;
  defaults: Settings;
  /** Stories that a typed function is tried on. */
  examples: RatedRow[];
}

/** A completion as a typed function is given it: its text, and what else is known of it. */
export interface RatedRow {
  text: string;
  prompt: string;
  /** Its number of tokens, the end token included. */
  tokens: number;
  /** Whether the model ended it, rather than the limit of tokens. */
  ended: boolean;
}

/** Means over a batch of completions of the policy. */
export interface Point {
  step: number;
  reward: number;
  /** Of the whole completion: log π − log π_ref, nats. */
  kl: number;
  /** J: reward less β times the KL. */
  objective: number;
  /** By AFINN, where the reward is a model that has learned from it. */
  trueReward?: number | undefined;
}

/** The same on held-out prompts, with how far the policy is from the best one. */
export interface HeldOutPoint extends Point {
  /** β log Z − J, at least. */
  gap: number;
  gapError: number;
  /** β log Z from these completions, at least. */
  optimum: number;
  effectiveSamples: number;
}

/** β log Z, the J of the best policy at this β, from completions of the reference on the held-out prompts. */
export interface Optimum {
  /** At least; biased downwards for few samples. */
  mean: number;
  standardError: number;
  /** How many completions of the best policy those of the reference are worth, a prompt. */
  effectiveSamples: number;
}

export interface ShownCompletion extends MarkedText {
  reward: number | null;
  advantage: number;
}

/** Completions that a step learns from: those of its first prompts. */
export interface Rollout {
  step: number;
  groups: { prompt: string; completions: ShownCompletion[] }[];
  /** Prompts of the step. */
  prompts: number;
}

/** Two drafts of a story, of which a person is to choose one. */
export interface Question {
  prompt: string;
  drafts: readonly [string, string];
  /** Answers so far, and those without which nothing is learned. */
  answered: number;
  needed: number;
}

/** What a person says to a question: which draft is better, neither, or that the reward model may learn now. */
export type AnswerToQuestion = 'first' | 'second' | 'skip' | 'learn';

/** What the worker tells without being asked. */
export type Update =
  | CommonUpdate<Phase>
  /** A run begins, or goes on: everything that is known of it so far. */
  | {
      type: 'run';
      settings: Settings;
      totalSteps: number;
      optimum: Optimum | undefined;
      train: Point[];
      heldOut: HeldOutPoint[];
    }
  /** What the run will take, before its first step. */
  | { type: 'plan'; totalSteps: number; plannedBytes: number }
  | { type: 'progress'; done: number; total: number }
  | { type: 'question'; question: Question }
  /** The reward model is there: the share of its last pairs that it tells apart. */
  | { type: 'fitted'; pairs: number; accuracy: number }
  | { type: 'optimum'; optimum: Optimum; point: HeldOutPoint }
  /** Share of a step's completions that is written. */
  | { type: 'writing'; step: number; share: number }
  | { type: 'rollout'; rollout: Rollout }
  | { type: 'steps'; points: Point[]; pace: Pace }
  | { type: 'heldOut'; point: HeldOutPoint };

export type Listener = (update: Update) => void;

/** What the page may ask for once everything is loaded. What goes wrong in a run is told as `failed`; the rest rejects. */
export interface RlhfJob {
  readonly opened: Opened;
  /** `judge`: where the typed function answers, if that is the reward; its name is what it is logged under. */
  start(settings: Settings, judge?: JudgePort): Promise<void>;
  /** Stops after the step under way and keeps a checkpoint. */
  pause(): Promise<void>;
  /** Goes on from the checkpoint, of this visit or an earlier one, bit for bit. */
  resume(judge?: JudgePort): Promise<void>;
  /** Ends the run here: what it has learned stays. */
  stop(): Promise<void>;
  /** To the question that was told last. */
  answer(answer: AnswerToQuestion): void;
  /** Forgets the run that is kept in this browser. */
  discard(): Promise<void>;
  /** The adapter as it stands, in PEFT's files. */
  adapterFiles(): Promise<AdapterFiles>;
}

export interface JudgePort {
  name: string;
  port: MessagePort;
}
