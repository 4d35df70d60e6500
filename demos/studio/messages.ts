/**
 * The contract between the page and its worker: what the page may ask for, and what the worker tells. Plain data on both
 * sides, so that either can be read, tested or replaced alone.
 */
import type { AdapterReport } from 'webalign/gpu';
import type { AdapterFiles, LoadDtype } from 'webalign/models';
import type { Point } from '../align/messages.ts';
import type { Pace } from '../shared/pace.ts';
import type { HeldOutPoint, Optimum, PolicyPoint } from '../shared/policy-run.ts';
import type { CommonPhase, CommonUpdate } from '../shared/run-job.ts';
import type { ExportName } from './exports.ts';
import type { MethodName } from './methods.ts';
import type { OnlineState } from './online/state.ts';
import type { PolicyCurves } from './policy/curves.ts';
import type { Draft, Judgment, Prompt } from './preferences/judgment.ts';
import type { RewardFigures } from './reward/figures.ts';
import type { Samples } from './samples.ts';
import type { Ballot, Unblinded } from './unblinding.ts';

/** Numbers that a person sets before a run. Names of TRL and PEFT. */
export interface Settings {
  beta: number;
  learningRate: number;
  numTrainEpochs: number;
  perDeviceTrainBatchSize: number;
  /** LoRA rank. */
  r: number;
  seed: number;
  /** Steps between two evaluations; a checkpoint and samples are made then too. */
  evalSteps: number;
  /** Evaluations without a lower held-out loss after which a run ends; 0 for never. transformers' name. */
  earlyStoppingPatience: number;
  /** Optimizer steps of a run on rollouts. */
  maxSteps: number;
  /** Rollouts of a prompt. */
  numGenerations: number;
  /** Tokens of a rollout. */
  maxCompletionLength: number;
}

/** What a run is started with. */
export interface Lesson {
  method: MethodName;
  settings: Settings;
  /** The judgments as they are now; later picks belong to a later run. */
  train: readonly Judgment[];
  heldOut: readonly Judgment[];
  /** The adapter that the run continues from; without one it trains a new adapter. */
  start?: AdapterFiles;
  /** The reward model that scores its rollouts, as it is when the run starts. The worker adds it. */
  reward?: AdapterFiles;
}

/**
 * Stages of a run beside those of every run: log-probabilities of the reference; stories of the reference for the best possible
 * objective; an online run waits for picks.
 */
export type StagePhase = 'reference' | 'optimum' | 'picking';
export type Phase = CommonPhase | StagePhase;

/** The model that drafts and learns. */
export interface ModelFacts {
  /** The name that a person reads and that the adapter's files carry. */
  name: string;
  /** Numbers in its weights. */
  parameters: number;
  /** Tokens of prompt and completion together. */
  positions: number;
  /** Whether it has a chat template; otherwise it only continues texts. */
  chats: boolean;
  /** Whether this is the storyteller of the page. */
  embedded: boolean;
}

export interface Opened {
  adapter: AdapterReport;
  model: ModelFacts;
  /** Prompts to offer. */
  suggestions: readonly string[];
  /** The reward model that this browser keeps for this model; undefined without one. */
  reward: RewardFigures | undefined;
  /** Why this is not the model that the page was to open with; empty where it is. */
  problem: string;
}

/** A run that has ended, by its start, at its end or after one of its steps. */
export type PastSide = `run ${number}` | `run ${number} step ${number}`;
/** `before`: the model without the adapter of the run. `now`: the model as it stands. Otherwise with the adapter of a past run alone. */
export type Side = 'before' | 'now' | PastSide;

export interface DraftRequest {
  prompt: Prompt;
  /** Who writes each draft, in the order shown: one or two. */
  sides: readonly Side[];
  temperature: number;
  topP: number;
  maxNewTokens: number;
  /** Of each draft: two by one model must differ. */
  seeds: readonly number[];
}

/** The drafts so far, in the order shown; `done` says which of them are complete. */
export interface DraftUpdate {
  drafts: readonly Draft[];
  done: readonly boolean[];
}

/** What the worker tells without being asked. */
export type Update =
  | CommonUpdate<Phase>
  /** A run starts or resumes: everything known of it so far. */
  | {
      type: 'run';
      method: MethodName;
      settings: Settings;
      totalSteps: number;
      train: Point[];
      heldOut: Point[];
      policy: PolicyCurves | undefined;
    }
  /** What the run will take, before its first step. */
  | { type: 'plan'; totalSteps: number; trainableParameters: number; plannedBytes: number }
  | { type: 'progress'; done: number; total: number }
  /** Of a run on rows, or of one on rollouts. */
  | { type: 'steps'; points: Point[]; policy: PolicyPoint[]; pace: Pace }
  | { type: 'heldOut'; point: Point }
  | { type: 'policyHeldOut'; point: HeldOutPoint }
  /** The best possible objective is estimated, before the first step. */
  | { type: 'optimum'; optimum: Optimum; point: HeldOutPoint }
  /** Which share of a step's rollouts is written. */
  | { type: 'writing'; step: number; share: number }
  /** All samples of the run so far. */
  | { type: 'samples'; samples: Samples }
  /** Where an online run stands. */
  | { type: 'online'; online: OnlineState }
  /** At the end: problems that the figures of the run show, a sentence each. */
  | { type: 'advice'; lines: string[] };

export type Listener = (update: Update) => void;

/** What a model needs on this device in one precision, in bytes. */
export interface PrecisionPlan {
  dtype: LoadDtype;
  weightBytes: number;
  /** At the peak of a training step with an adapter. */
  trainingBytes: number;
  /** Why it does not fit, and what to change; empty where it does. */
  problem: string;
}

/** What a model would need, before it is loaded. */
export interface ModelPlan {
  name: string;
  parameters: number;
  positions: number;
  /** Bytes of its files. */
  fileBytes: number;
  /** Tokens of prompt and draft in the step that was planned. */
  tokens: number;
  precisions: PrecisionPlan[];
}

/** What the page may ask for once everything is loaded. Problems of a run are told as `failed`; the rest rejects. */
export interface StudioJob {
  readonly opened: Opened;
  start(lesson: Lesson): Promise<void>;
  /** The judgments that there are, to an online run; resolves when what is due of them has been learned. */
  offerPicks(judgments: readonly Judgment[]): Promise<void>;
  /** Undoes the last learning step of an online run, and resumes from there. Rejects where there is none. */
  stepBack(): Promise<void>;
  /** Stops after the step under way and keeps a checkpoint. */
  pause(): Promise<void>;
  /** Goes on from the checkpoint, of this visit or an earlier one, bit for bit. */
  resume(): Promise<void>;
  /** Ends the run here; the adapter stays. */
  stop(): Promise<void>;
  /** Forgets the run that is kept in this browser. */
  discard(): Promise<void>;
  /** Writes the drafts; resolves with them as they are when all have ended or {@link stopWriting} is called. */
  write(request: DraftRequest, listener: (update: DraftUpdate) => void): Promise<DraftUpdate>;
  stopWriting(): void;
  /** Fits a reward model to the pairs among the judgments, and reads the held-out ones. Rejects during a run. */
  fitReward(
    judgments: readonly Judgment[],
    onProgress: (done: number, total: number) => void,
  ): Promise<RewardFigures>;
  /** What stands behind a comparison whose last vote is cast. */
  unblind(ballot: Ballot): Promise<Unblinded>;
  /** The adapter as it stands, in PEFT's files. */
  adapterFiles(): Promise<AdapterFiles>;
  /** The adapter of the evaluated step where the held-out loss was lowest. Rejects where no row is held out. */
  bestAdapterFiles(): Promise<AdapterFiles>;
  /** A file of the run for others to read. What is large lies on the disk, until the next one is made. */
  makeFile(name: ExportName): Promise<File>;
  /** What the model in these files would need. Reads none of its weights. */
  plan(files: readonly File[]): Promise<ModelPlan>;
  /** Copies a model into this browser and makes it the one that the page opens with. */
  keepModel(
    files: readonly File[],
    about: { name: string; dtype: LoadDtype },
    onProgress: (done: number, total: number) => void,
  ): Promise<void>;
}
