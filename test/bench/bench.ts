/**
 * The words of the bench: what a case is, what a contestant must do, what a measurement says. Types and nothing else, so
 * that cases, peers, the command and the page agree without knowing each other.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import type { DpoJob } from './jobs.ts';

/** One contestant's work on a case, ready to be done again and again. */
export interface Run {
  /** Makes what a start uses up anew, untimed. Such a run is waited for after every start. */
  renew?(): Promise<void>;
  /** Starts the work once, without waiting for it. */
  start(): void | Promise<void>;
  /** Waits until everything started is done, by reading one number of the last result. */
  finish(): Promise<number>;
  /** The result, or the first numbers of it, to be held against the others'. */
  result?(): Promise<Float32Array>;
  dispose(): void;
}

/** What one start costs by arithmetic, whoever does it. */
export interface Work {
  flop?: number;
  /** Bytes that must be read and written. */
  bytes?: number;
  /** What is counted beside: tokens of a step, tokens written. */
  tokens?: number;
}

/** A job that peers know as well: plain data, from which each makes its own {@link Run}. */
export type Job =
  | { kind: 'product'; m: number; n: number; k: number }
  | { kind: 'softmax'; rows: number; cols: number }
  | { kind: 'crossEntropy'; rows: number; cols: number }
  | { kind: 'dpoLogits'; pairs: number; length: number; cols: number; beta: number }
  | DpoJob;
export type JobOf<Kind extends Job['kind']> = Extract<Job, { kind: Kind }>;

export interface Case {
  /** `product nt 512³`: what `--only` looks in and results are kept under. */
  id: string;
  /** What it stands with in a table. */
  group: string;
  /** Its place on the group's curve. */
  size: Record<string, number>;
  /** Cases that follow each other and name the same curve are timed in turn, so that the curve is not bent by the hour. */
  curve?: string;
  work: Work;
  /** Whether `--quick` runs it. */
  quick: boolean;
  /** Bytes that a device must hold for it; 0 where that is no matter. */
  memory?: number;
  make(gpu: Gpu): Promise<Run>;
  /** What the peers are given. */
  job?: () => Promise<Job> | Job;
}

/** Another library on the same adapter, on a device of its own in the same process. */
export interface Peer {
  device: GPUDevice;
  make: { [Kind in Job['kind']]: (job: JobOf<Kind>) => Promise<Run> };
  dispose(): void;
}

/** Opens a peer anew for every case: buffers that it keeps from one are not to count in the next. */
export interface PeerSource {
  name: string;
  version: string;
  open(): Promise<Peer>;
}

/** Times of one contestant on one case. */
export interface Measured {
  /** Milliseconds of one start: median, and the quartiles. */
  median: number;
  quartiles: [number, number];
  /** Milliseconds of processor time of one start, in Node. */
  cpu: number | null;
  samples: number;
  /** Milliseconds of the first start, over the median: what compiling took. */
  first: number;
  /** Most bytes that the contestant's device held. */
  peakBytes: number;
  /** Of one start. */
  dispatches: number;
  submits: number;
}

/** What became of a case. */
export interface Result {
  id: string;
  group: string;
  size: Record<string, number>;
  work: Work;
  /** By contestant; a sentence where it could not. */
  by: Record<string, Measured | string>;
  /** Largest difference from our own result, as a share of its largest number, by peer. */
  differences: Record<string, number>;
}

/** Speeds that the adapter reaches on the simplest kernels. */
export interface Peak {
  /** Multiplications and additions in f32, GFLOP/s. */
  gflops: number;
  /** Bytes read and written by a copy, GB/s. */
  gbytes: number;
}
