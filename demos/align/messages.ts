/**
 * The contract between the page and its worker: what the page may ask for, and what the worker tells. Plain data on both
 * sides, so that either can be read, tested or replaced alone. Numbers of a step travel in bundles, a few times a second.
 */

import type { AdapterReport } from 'webalign/gpu';
import type { AdapterFiles } from 'webalign/models';
import type { RatedWord } from 'webalign/rollouts';
import type { Estimate } from 'webalign/theory';
import type { SampleFigures } from 'webalign/trainers';
import type { Pace } from '../shared/pace.ts';
import type { CommonPhase, CommonUpdate } from '../shared/run-job.ts';

/** What a person sets before a run. TRL's and PEFT's names. */
export interface Settings {
  beta: number;
  learningRate: number;
  numTrainEpochs: number;
  perDeviceTrainBatchSize: number;
  /** LoRA rank. */
  r: number;
  seed: number;
}

/** Stages of this run beside those of every one. */
export type StagePhase = 'before' | 'reference' | 'after';
export type Phase = CommonPhase | StagePhase;

/** What is known once everything is loaded. */
export interface Opened {
  adapter: AdapterReport;
  /** Numbers in the model's weights. */
  parameters: number;
  pairs: { train: number; heldOut: number };
  defaults: Settings;
  /** Openings of held-out stories, to try; the first ones are measured and shown. */
  openings: string[];
  /** Stories that are written before and after. */
  measured: number;
}

/** One dot on every chart. */
export interface Point {
  step: number;
  loss: number;
  margin: number;
  accuracy: number;
  /** Mean of log π − log π_ref over the chosen stories, nats. Not a KL: the policy did not write them. */
  logRatio: number;
}

export interface ScoredText {
  text: string;
  /** Sum of the ratings. */
  score: number;
  /** The words that count. */
  words: RatedWord[];
}

/** Stories written on the held-out openings, by the model as it was or as it has become, and their mean score. */
export interface Measurement extends Estimate {
  /** Score of every story. */
  scores: number[];
  /** After training: KL(π ‖ π_ref) in nats a story, from the policy's own. */
  kl?: Estimate | undefined;
  /** How the stories read; a run of an earlier visit may be without. */
  figures?: SampleFigures | undefined;
  /** The first few, in the same order before and after. */
  samples: { prompt: string; story: ScoredText }[];
}

export type Side = 'before' | 'after';

/** What the worker tells without being asked. */
export type Update =
  | CommonUpdate<Phase>
  /** A run begins, or goes on: everything that is known of it so far. */
  | { type: 'run'; settings: Settings; totalSteps: number; train: Point[]; heldOut: Point[] }
  /** What the run will take, before its first step. */
  | { type: 'plan'; totalSteps: number; trainableParameters: number; plannedBytes: number }
  | { type: 'progress'; done: number; total: number }
  | { type: 'steps'; points: Point[]; pace: Pace }
  | { type: 'heldOut'; point: Point }
  | { type: 'measured'; side: Side; measurement: Measurement }
  /** At the end: what the figures of the run say against it, a sentence each. */
  | { type: 'advice'; lines: string[] };

export type Listener = (update: Update) => void;

export interface WriteOptions {
  prompt: string;
  temperature: number;
  maxNewTokens: number;
  seed: number;
}

/** The story so far on one side; `done` with the last of it. */
export type WriteListener = (side: Side, story: ScoredText, done: boolean) => void;

/** What the page may ask for once everything is loaded. What goes wrong in a run is told as `failed`; the rest rejects. */
export interface AlignJob {
  readonly opened: Opened;
  start(settings: Settings): Promise<void>;
  /** Stops after the step under way and keeps a checkpoint. */
  pause(): Promise<void>;
  /** Goes on from the checkpoint, of this visit or an earlier one, bit for bit. */
  resume(): Promise<void>;
  /** Ends the run here: what it has learnt is measured and stays. */
  stop(): Promise<void>;
  /** Forgets the run that is kept in this browser. */
  discard(): Promise<void>;
  /** Continues a prompt without the adapter and, where there is one, with it. A new call ends the one before. */
  write(options: WriteOptions, listener: WriteListener): Promise<void>;
  /** The adapter as it stands, in PEFT's files. */
  adapterFiles(): Promise<AdapterFiles>;
}

/** What the worker offers at first. */
