/**
 * The types of the bench: what a case is, what a contestant must do, what a measurement says. It contains only types, so
 * that cases, peers, the command and the page agree without importing each other.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import type { DpoJob, WritingJob } from './jobs.ts';

/** One contestant's work on a case, ready to be started again and again. */
export interface Run {
  /** Restores what a start uses up; not timed. After every start of such a run, its end is awaited. */
  renew?(): Promise<void>;
  /** Starts the work once, without waiting for it. */
  start(): void | Promise<void>;
  /** Waits until everything started is done, by reading one number of the last result. */
  finish(): Promise<number>;
  /** The result, or its first numbers, to be compared with the others'. */
  result?(): Promise<Float32Array>;
  dispose(): void;
}

/** The arithmetic operations of one start, the same for every contestant. */
export interface Work {
  flop?: number;
  /** Bytes that must be read and written. */
  bytes?: number;
  /** What is counted in addition: tokens of a step, tokens generated. */
  tokens?: number;
}

/** A job that peers know as well: plain data, from which each makes its own {@link Run}. */
export type Job =
  | { kind: 'product'; m: number; n: number; k: number }
  | { kind: 'softmax'; rows: number; cols: number }
  | { kind: 'crossEntropy'; rows: number; cols: number }
  | { kind: 'dpoLogits'; pairs: number; length: number; cols: number; beta: number }
  | DpoJob
  | WritingJob;
export type JobOf<Kind extends Job['kind']> = Extract<Job, { kind: Kind }>;

export interface Case {
  /** `product nt 512³`: `--only` searches in it, and results are stored under it. */
  id: string;
  /** The group that it appears with in a table. */
  group: string;
  /** Its x value on the group's curve. */
  size: Record<string, number>;
  /**
   * Cases that follow each other and name the same curve are timed in turn, so that a change of the machine's speed does
   * not bend the curve.
   */
  curve?: string;
  work: Work;
  /** Whether `--quick` runs it. */
  quick: boolean;
  /** Bytes that a device must hold for it; 0 if it needs little. */
  memory?: number;
  make(gpu: Gpu): Promise<Run>;
  /** What the peers get. */
  job?: () => Promise<Job> | Job;
}

/** Another library on the same adapter, on a device of its own in the same process. */
export interface Peer {
  device: GPUDevice;
  /** The jobs that it knows; it does not take part in others. */
  make: { [Kind in Job['kind']]?: (job: JobOf<Kind>) => Promise<Run> };
  dispose(): void;
}

/** Opens a peer anew for every case: buffers that it keeps from one case must not count in the next. */
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
  /** Time of the first start divided by the median: what compiling cost. */
  first: number;
  /** The most bytes that the contestant's device held. */
  peakBytes: number;
  /** Of one start. */
  dispatches: number;
  submits: number;
}

/** The outcome of a case. */
export interface Result {
  id: string;
  group: string;
  size: Record<string, number>;
  work: Work;
  /** By contestant; a sentence if it failed. */
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
