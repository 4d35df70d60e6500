/**
 * One micro-batch, forward and backward: the step as the data flows. Examples are packed, the model scores them, the loss
 * gives value and derivative, the tape runs backwards into the parameters' gradients; then the same for each further role,
 * when the memory of the one before is free again. Nothing is awaited; what the metrics need is copied for a late read.
 * Nothing here asks what kind of loss it is.
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
  /** Undefined where neither the loss nor the source of examples has one. */
  reference: Reference | undefined;
  /** What learns from the same examples beside; nothing where it is left out. */
  beside?: readonly Role[];
}

/** What a micro-batch promises. */
export interface StepResult {
  /** Packed tokens computed. */
  tokens: number;
  means: Promise<BatchMeans>;
}

/**
 * Runs a micro-batch on `gpu`, which may be a counting one, in every role. Where it is a part of an optimizer step's examples,
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

/** Whether the loss on a micro-batch is finite with the weights as they are. */
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

/** Copies of tensors, read when the device comes to it; what is not there stays undefined. */
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

/** Tokens of all sequences that count, prompts included, as TRL counts them. */
export function countTokens(examples: readonly TokenizedExample[], { counted }: Unit): number {
  return examples.reduce(
    (sum, { prompt, completions }) =>
      completions.slice(0, counted).reduce((n, { length }) => n + prompt.length + length, sum),
    0,
  );
}

/** The examples of a step, so many at a time, in their order. */
export function microBatches(examples: readonly TokenizedExample[], size: number): TokenizedExample[][] {
  return Array.from({ length: Math.ceil(examples.length / size) }, (_, i) =>
    examples.slice(i * size, (i + 1) * size),
  );
}
