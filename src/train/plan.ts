/**
 * What a run will need, before it starts. Its phases are gone through on devices that only count: the step on the largest
 * micro-batch of the run's own order, batches that are only scored, and what its source and its evaluation do by themselves.
 * One of them is in memory at a time, so that the largest gives the bytes to hold against the user's cap; their kernels are
 * the list to compile. The pool then keeps to those bytes.
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
 * Of the bytes of a phase, those of buffers that wait after batches of other sizes. A run whose batches differ fills them; one
 * whose batches are all alike does without. Chosen on the runs of `test/train/plan`, which are then held against it.
 */
const WAITING = 0.08;

/** What there is to rehearse. */
export interface PlannedRun {
  context: StepContext;
  parameters: ParameterStore;
  task: Pick<Task<TrainingConfig>, 'source' | 'evaluation'>;
  config: TrainingConfig;
  totalSteps: number;
}

export interface RunRehearsal {
  /** Bytes of GPU memory that the run will hold at its peak, everything on the device counted. */
  plannedBytes: number;
  /** Of those, what waits for batches of other sizes. */
  waitingBytes: number;
  /** The phase that holds most, beside what is on the device before it. */
  largest: Rehearsal;
  /** The kernels of steps, and of the source's own work. */
  pipelines: Rehearsal['pipelines'];
}

/** Goes through the phases of a run. Computes nothing. */
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
 * What the run will need. Measures kernels where that is still to be done, and compiles. Throws {@link MemoryCapError}; on a
 * counting device it tells what would be needed.
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
