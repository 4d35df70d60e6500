/**
 * One micro-batch, forward and backward, in the order of the data flow. Examples are packed, the model scores them, the loss
 * gives value and derivative, the tape runs backwards into the parameters' gradients; then the same for each further role,
 * after the memory of the one before is free. Nothing is awaited; tensors for the metrics are copied for a late read.
 * This file does not depend on the kind of loss.
 */
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { batchLoss } from '../losses/batch-loss.ts';
import type { TrainingLoss } from '../losses/family.ts';
import { lengthsOf, recordsOf, type Unit } from '../losses/units.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type BatchMeans, batchMeans, joinMeans, joinRoles } from './metrics.ts';
import type { Reference } from './references/reference.ts';
import type { Role } from './roles.ts';
import type { BackwardSettings, Scorer } from './scorer.ts';

export interface StepContext extends BackwardSettings {
  model: CausalLM;
  scorer: Scorer;
  loss: TrainingLoss;
  /** Undefined if neither the loss nor the source of examples has one. */
  reference: Reference | undefined;
  /** Further roles that learn from the same examples; default: none. */
  beside?: readonly Role[];
}

/** The pending results of a micro-batch. */
export interface StepResult {
  /** Number of packed tokens computed. */
  tokens: number;
  means: Promise<BatchMeans>;
}

/**
 * Runs a micro-batch on `gpu`, which may be a counting device, in every role. If it is part of an optimizer step,
 * gradients are added to the parameters'; without a step the examples are only evaluated. `rollout` has the lengths of all
 * completions that were written together with the step's.
 */
export function runBatch(
  gpu: Gpu,
  context: StepContext,
  examples: readonly TokenizedExample[],
  step?: readonly TokenizedExample[],
  rollout?: readonly number[],
): StepResult {
  const { beside = [] } = context;
  const policy = { weight: 1, result: runRole(gpu, { ...context, rollout }, examples, step) };
  const others = beside.map(({ scorer, loss, weight, play }) => {
    const own = { ...context, scorer, loss, weight, rollout, reference: undefined };
    return { weight, result: play(() => runRole(gpu, own, examples, step)) };
  });
  const all = [policy, ...others];
  return {
    tokens: all.reduce((sum, { result }) => sum + result.tokens, 0),
    means: Promise.all(all.map(async ({ weight, result }) => ({ weight, means: await result.means }))).then(
      joinRoles,
    ),
  };
}

/** Whether the loss on a micro-batch is finite with the current weights. */
export async function givesFiniteLoss(
  context: StepContext,
  examples: readonly TokenizedExample[],
): Promise<boolean> {
  const { gpu } = context.model;
  const { means } = runBatch(gpu, context, examples);
  gpu.recorder.flush();
  return Number.isFinite(joinMeans([await gpu.settle(means)]).loss);
}

/** The micro-batch in the role that the adapters are switched to. */
function runRole(
  gpu: Gpu,
  context: StepContext & { weight?: number; rollout?: readonly number[] | undefined },
  examples: readonly TokenizedExample[],
  step: readonly TokenizedExample[] | undefined,
): StepResult {
  const { model, scorer, loss, reference, weight = 1, rollout } = context;
  const { unit } = loss;
  const packed = packExamples(examples, { reads: loss.reads, rows: scorer.rows });
  const batch = new DeviceBatch(gpu, packed, model.trainedTables);
  const referenceRows = loss.usesReference ? reference?.rows(gpu, batch, examples) : undefined;
  const tape = step ? Tape.forTraining(gpu) : Tape.forInference(gpu);
  const { values, stats, logitMeans } = scorer.score(tape, batch, context);
  const { sequenceOffsets: offsets, columns } = batch;
  const all = step ?? examples;
  const share = {
    scale: weight / recordsOf(all, unit),
    lengths: {
      batch: lengthsOf(examples, unit.learned, scorer.rows),
      step: lengthsOf(all, unit.learned, scorer.rows),
      ...(rollout && { rollout }),
    },
  };
  const scored = { values, stats, reference: referenceRows, offsets, columns };
  const { records } = batchLoss(tape, loss, scored, share);

  const late = readAll(gpu, { records, values, stats, logitMeans, reference: referenceRows });
  if (step) tape.backward();
  else tape.dispose();
  if (referenceRows) gpu.pool.release(referenceRows);
  batch.dispose();

  return {
    tokens: packed.ids.length,
    means: late.then((read) => {
      const sides = examples.flatMap((example) => unit.sides(example));
      const { sequenceOffsets } = packed;
      return batchMeans({ ...read, sequenceOffsets }, loss.metrics, unit.width, sides);
    }),
  };
}

/** Copies of tensors for a late read; missing ones stay undefined. */
async function readAll<T extends Record<string, Tensor | undefined>>(
  gpu: Gpu,
  tensors: T,
): Promise<{ [K in keyof T]: T[K] extends Tensor ? Float32Array : Float32Array | undefined }> {
  const reading = Object.entries(tensors).map(async ([name, tensor]) => [
    name,
    tensor && new Float32Array(await gpu.recorder.read(tensor)),
  ]);
  return Object.fromEntries(await Promise.all(reading));
}

/** Tokens of all counted sequences, including prompts, as in TRL. */
export function countTokens(examples: readonly TokenizedExample[], { counted }: Unit): number {
  return examples.reduce(
    (sum, { prompt, completions }) =>
      completions.slice(0, counted).reduce((n, { length }) => n + prompt.length + length, sum),
    0,
  );
}

/** The examples of a step in micro-batches, in order. */
export function microBatches(examples: readonly TokenizedExample[], size: number): TokenizedExample[][] {
  return Array.from({ length: Math.ceil(examples.length / size) }, (_, i) =>
    examples.slice(i * size, (i + 1) * size),
  );
}
