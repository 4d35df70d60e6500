/**
 * The needs of a run, before it starts. Its phases are rehearsed on counting devices: the step on the largest
 * micro-batch in the run's own order, batches that are only scored, and the own work of its source and its evaluation.
 * The phases do not overlap in memory, so the largest determines the bytes, which are compared with the user's cap; their kernels
 * are the list to compile. The pool then keeps to those bytes.
 */

import type { Gpu } from '../gpu/device.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import { type Rehearsal, rehearse } from '../gpu/rehearsal.ts';
import { requireVariants } from '../ops/variants.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';
import type { RunPlan } from './events.ts';
import { Optimizer } from './optimizer.ts';
import { largestBatch } from './source.ts';
import { runBatch, type StepContext } from './step.ts';
import type { Task } from './training-task.ts';

/**
 * The fraction of a phase's bytes for free buffers left by batches of other sizes. A run with varying batches uses it; one
 * with equal batches does not. Chosen on the runs of `test/train/plan`, which then test it.
 */
const WAITING = 0.08;

/** What to rehearse. */
export interface PlannedRun {
  context: StepContext;
  parameters: ParameterStore;
  task: Pick<Task<TrainingConfig>, 'source' | 'evaluation'>;
  config: TrainingConfig;
  totalSteps: number;
}

export interface RunRehearsal {
  /** Predicted peak of GPU memory in bytes, including everything on the device. */
  plannedBytes: number;
  /** The part of it for free buffers. */
  waitingBytes: number;
  /** The largest phase, in addition to what is on the device before it. */
  largest: Rehearsal;
  /** The kernels of steps, and of the source's own work. */
  pipelines: Rehearsal['pipelines'];
}

/** Rehearses the phases of a run. Computes nothing. */
export function rehearseRun({ context, parameters, task, config, totalSteps }: PlannedRun): RunRehearsal {
  const { gpu } = context.model;
  const { source, evaluation } = task;
  const step = rehearse(gpu, (counting) => {
    const largest = source.largest(source.batchSize, totalSteps);
    runBatch(counting, context, largest, largest);
    new Optimizer(counting, parameters, config).step(1, 0);
    context.reference?.stepped(0, counting);
  });
  const ahead = context.reference?.scoresAhead ? (source.ahead(totalSteps) ?? []) : [];
  const scored = [largestBatch(ahead, config.perDeviceEvalBatchSize), evaluation.largest()]
    .filter(({ length }) => length > 0)
    .map((batch) => rehearse(gpu, (counting) => void runBatch(counting, context, batch)));
  const own = [...(source.rehearse?.(context, totalSteps) ?? []), ...(evaluation.rehearse?.(context) ?? [])];
  const phases = [step, ...scored, ...own];
  const largest = phases.reduce((most, phase) => (phase.bytes > most.bytes ? phase : most));
  const waitingBytes = Math.ceil(WAITING * largest.bytes);
  return {
    plannedBytes: gpu.memory().live + largest.bytes + waitingBytes,
    waitingBytes,
    largest,
    pipelines: [step, ...own].flatMap(({ pipelines }) => pipelines),
  };
}

/**
 * The needs of the run. Measures kernels if necessary, and compiles. Throws {@link MemoryCapError}; on a
 * counting device it only returns the prediction.
 */
export async function planRun(
  run: PlannedRun,
): Promise<Pick<RunPlan, 'plannedBytes' | 'variants' | 'tuning'>> {
  const { gpu } = run.context.model;
  requireVariants(gpu);
  let rehearsal = rehearseRun(run);
  requireRoom(gpu, rehearsal.plannedBytes);
  if (gpu.tuner) {
    const { source } = run.task;
    const shortest = source.shortest(source.batchSize);
    runBatch(gpu.countingCopy(), run.context, shortest, shortest);
  }
  const tuning = await gpu.tuner?.tune(gpu);
  if (tuning) rehearsal = rehearseRun(run);
  await gpu.compile(rehearsal.pipelines);
  return {
    plannedBytes: rehearsal.plannedBytes,
    variants: Object.fromEntries(gpu.variants.inForce),
    tuning,
  };
}

function requireRoom(gpu: Gpu, bytes: number): void {
  if (bytes > gpu.pool.cap && !gpu.counting) throw new MemoryCapError(bytes, gpu.pool.cap, 'Training');
}
