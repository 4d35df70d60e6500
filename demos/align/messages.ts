/**
 * The contract between the page and its worker: what the page may ask for, and what the worker tells. Plain data on both
 * sides, so that either can be read, tested or replaced alone. Numbers of a step travel in bundles, a few times a second.
 */
import type { AdapterReport } from '../../src/gpu/device.ts';
import type { AdapterFiles } from '../../src/io/peft.ts';

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

/** Where a run stands. `kept`: one of an earlier visit lies in this browser and waits for a decision. */
export type Phase =
  | 'idle'
  | 'kept'
  | 'before'
  | 'reference'
  | 'training'
  | 'pausing'
  | 'paused'
  | 'after'
  | 'done'
  | 'failed';

/** What is known once everything is loaded. */
export interface Opened {
  adapter: AdapterReport;
  /** Numbers in the model's weights. */
  parameters: number;
  pairs: { train: number; heldOut: number };
  defaults: Settings;
  /** Openings of held-out stories, to try. */
  openings: string[];
  kept: KeptRun | undefined;
}

export interface KeptRun {
  settings: Settings;
  /** Milliseconds since 1970. */
  startedAt: number;
  step: number;
  totalSteps: number;
}

/** One dot on every chart. */
export interface Point {
  step: number;
  loss: number;
  margin: number;
  accuracy: number;
  kl: number;
}

/** A word that the sentiment lexicon knows, as a place in the text. */
export interface Mark {
  start: number;
  end: number;
  score: number;
}

export interface ScoredText {
  text: string;
  score: number;
  marks: Mark[];
}

/** Stories written on the held-out openings, by the model as it was or as it has become. */
export interface Measurement {
  /** Score of every story. */
  scores: number[];
  mean: number;
  standardError: number;
  /** The first few, in the same order before and after. */
  samples: { prompt: string; story: ScoredText }[];
}

export type Side = 'before' | 'after';

export interface Pace {
  step: number;
  totalSteps: number;
  tokensPerSecond: number;
  secondsLeft: number;
  /** Bytes of GPU memory: in use, and the most so far. */
  live: number;
  peak: number;
}

/** What the worker tells without being asked. */
export type Update =
  | { type: 'phase'; phase: Phase; step: number; totalSteps: number }
  /** A run begins, or goes on, with everything that is known of it. */
  | { type: 'run'; settings: Settings; totalSteps: number; train: Point[]; heldOut: Point[] }
  | { type: 'progress'; done: number; total: number }
  | { type: 'steps'; points: Point[]; pace: Pace }
  | { type: 'heldOut'; point: Point }
  | { type: 'measured'; side: Side; measurement: Measurement }
  /** A sentence that a person should read. */
  | { type: 'notice'; text: string }
  | { type: 'failed'; message: string };

export type Listener = (update: Update) => void;

export interface WriteOptions {
  prompt: string;
  temperature: number;
  maxNewTokens: number;
  seed: number;
}

/** The story so far on one side; `done` with the last of it. */
export type WriteListener = (side: Side, story: ScoredText, done: boolean) => void;

/** What the page may ask for. Whatever goes wrong in a run is told as `failed`; the others reject. */
export interface AlignJob {
  /** Loads model and data and finds the GPU. Nothing is fetched after it. */
  open(listener: Listener): Promise<Opened>;
  start(settings: Settings): Promise<void>;
  /** Stops after the step under way and keeps a checkpoint. */
  pause(): Promise<void>;
  /** Goes on from the checkpoint, of this visit or an earlier one, bit for bit. */
  resume(): Promise<void>;
  /** Ends the run here: what it has learnt is measured and stays. */
  stop(): Promise<void>;
  /** Forgets the run that is kept in this browser. */
  discard(): Promise<void>;
  /** Continues a prompt without the adapter and, where there is one, with it; a new call ends the one before. */
  write(options: WriteOptions, listener: WriteListener): Promise<void>;
  /** The adapter as it stands, in PEFT's files. */
  adapterFiles(): Promise<AdapterFiles>;
}
