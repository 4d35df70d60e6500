/**
 * The interface between the page and its worker: requests of the page, and updates of the worker. Plain data on both sides,
 * so that each can be read, tested or replaced separately. Numbers of steps are bundled a few times per second.
 */

import type { AdapterReport } from 'webalign/gpu';
import type { AdapterFiles } from 'webalign/models';
import type { RatedWord } from 'webalign/rollouts';
import type { Estimate } from 'webalign/theory';
import type { SampleFigures } from 'webalign/trainers';
import type { Pace } from '../shared/pace.ts';
import type { CommonPhase, CommonUpdate } from '../shared/run-job.ts';

/** The settings that the user can change before a run, under TRL's and PEFT's names. */
export interface Settings {
  beta: number;
  learningRate: number;
  numTrainEpochs: number;
  perDeviceTrainBatchSize: number;
  /** LoRA rank. */
  r: number;
  seed: number;
}

/** Stages of this demo besides the common ones. */
export type StagePhase = 'before' | 'reference' | 'after';
export type Phase = CommonPhase | StagePhase;

/** What is known after loading. */
export interface Opened {
  adapter: AdapterReport;
  /** Number of weights of the model. */
  parameters: number;
  pairs: { train: number; heldOut: number };
  defaults: Settings;
  /** Openings of held-out stories, to try; the first ones are measured and shown. */
  openings: string[];
  /** Number of stories generated before and after. */
  measured: number;
}

/** One point on every chart. */
export interface Point {
  step: number;
  loss: number;
  margin: number;
  accuracy: number;
  /** Mean of log π − log π_ref over the chosen stories, in nats. Not a KL, because the policy did not generate them. */
  logRatio: number;
}

export interface ScoredText {
  text: string;
  /** Sum of the ratings. */
  score: number;
  /** The rated words. */
  words: RatedWord[];
}

/** Stories generated for the held-out openings, before or after training, and their mean score. */
export interface Measurement extends Estimate {
  /** Score of every story. */
  scores: number[];
  /** After training: KL(π ‖ π_ref) in nats per story, from the policy's own stories. */
  kl?: Estimate | undefined;
  /** Statistics of the stories; missing in runs of an earlier version. */
  figures?: SampleFigures | undefined;
  /** The first few stories, in the same order before and after. */
  samples: { prompt: string; story: ScoredText }[];
}

export type Side = 'before' | 'after';

/** Updates that the worker sends. */
export type Update =
  | CommonUpdate<Phase>
  /** A run starts or resumes: everything known of it so far. */
  | { type: 'run'; settings: Settings; totalSteps: number; train: Point[]; heldOut: Point[] }
  /** The plan of the run, before its first step. */
  | { type: 'plan'; totalSteps: number; trainableParameters: number; plannedBytes: number }
  | { type: 'progress'; done: number; total: number }
  | { type: 'steps'; points: Point[]; pace: Pace }
  | { type: 'heldOut'; point: Point }
  | { type: 'measured'; side: Side; measurement: Measurement }
  /** At the end: advice about the run's results, one sentence each. */
  | { type: 'advice'; lines: string[] };

export type Listener = (update: Update) => void;

export interface WriteOptions {
  prompt: string;
  temperature: number;
  maxNewTokens: number;
  seed: number;
}

/** The story so far on one side; `done` with the last part. */
export type WriteListener = (side: Side, story: ScoredText, done: boolean) => void;

/** Requests of the page after loading. Errors in a run are sent as `failed`; others reject. */
export interface AlignJob {
  readonly opened: Opened;
  start(settings: Settings): Promise<void>;
  /** Stops after the current step and stores a checkpoint. */
  pause(): Promise<void>;
  /** Resumes from the checkpoint, of this visit or an earlier one, with bit-identical results. */
  resume(): Promise<void>;
  /** Ends the run: the current adapter is measured and kept. */
  stop(): Promise<void>;
  /** Deletes the run stored in this browser. */
  discard(): Promise<void>;
  /** Continues a prompt without the adapter and, if there is one, with it. A new call aborts the previous one. */
  write(options: WriteOptions, listener: WriteListener): Promise<void>;
  /** The current adapter, in PEFT's files. */
  adapterFiles(): Promise<AdapterFiles>;
}

/** The worker's initial interface. */
