/**
 * One micro-batch, forward and backward: the step as the data flows. Examples are packed, the policy scores them, the
 * objective gives loss and derivative, the tape runs backwards into the parameters' gradients. Nothing is awaited; what
 * the metrics need is copied for a late read.
 */
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { Loss } from '../objectives/families.ts';
import { completionsOf, objectiveLoss, recordWidth, type Term } from '../objectives/objective-loss.ts';
import { PAIR_RECORD } from '../objectives/record.ts';
import { sequenceSums } from '../ops/sequence-sum.ts';
import { weighPairs } from '../ops/wpo.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type BackwardSettings, scoreRows, type VocabularyMean } from './forward.ts';
import { type BatchMeans, batchMeans, type Side } from './metrics.ts';
import type { Reference } from './reference.ts';

export interface StepContext extends BackwardSettings {
  model: CausalLM;
  loss: Loss;
  /** Undefined where the loss has none. */
  reference: Reference | undefined;
  vocabularyMean: VocabularyMean;
}

/** What the batch is a part of. */
export interface StepShare {
  /** 1 / examples of the optimizer step. */
  scale: number;
  /** What token means divide by: the mean length over the optimizer step. The batch's own where it is left out. */
  meanTokens?: number;
}

/** What a micro-batch promises. */
export interface StepResult {
  /** Packed tokens computed. */
  tokens: number;
  /** Tokens of all sequences, prompts included, as TRL counts them. */
  numTokens: number;
  means: Promise<BatchMeans>;
}

/**
 * Runs a micro-batch on `gpu`, which may be a counting one. With a share gradients are added to the parameters'; without
 * one the examples are only evaluated.
 */
export function runBatch(
  gpu: Gpu,
  context: StepContext,
  examples: readonly TokenizedExample[],
  share?: StepShare,
): StepResult {
  const { model, loss, reference, vocabularyMean } = context;
  const packed = packExamples(examples);
  const batch = new DeviceBatch(gpu, packed, model.trainedTables);
  const referenceLogprobs = reference?.rows(gpu, batch, examples) ?? zeros(gpu, packed.targets.length);
  const labels = Tensor.from(gpu, labelsOf(examples), [examples.length], 'labels');
  const tape = share ? Tape.forTraining(gpu) : Tape.forInference(gpu);
  const scores = scoreRows(tape, model, batch, vocabularyMean, context);
  const { logprobs, stats, logitMeans } = scores;
  const offsets = batch.sequenceOffsets;
  const sums = sequenceSums(tape, logprobs, offsets, loss.ldAlpha);
  const completions = {
    sums,
    reference: sequenceSums(tape, referenceLogprobs, offsets, loss.ldAlpha),
    offsets,
    labels,
  };
  const settings = { meanTokens: meanTokens(examples), ...share, divergence: loss.divergence };
  const { records } = objectiveLoss(tape, loss.terms, completions, settings);
  if (loss.weighted) weighPairs(gpu, scores, offsets, { records, columns: PAIR_RECORD, dsums: sums.grad });

  const wanted = [records, logprobs, stats, logitMeans, ...(reference ? [referenceLogprobs] : [])];
  const late = Promise.all(wanted.map((tensor) => gpu.recorder.read(tensor)));
  if (share) tape.backward();
  else tape.dispose();
  for (const tensor of [referenceLogprobs, labels]) gpu.pool.release(tensor);
  batch.dispose();

  return {
    tokens: packed.ids.length,
    numTokens: examples.reduce((n, example) => n + countTokens(example, loss), 0),
    means: late.then((data) => {
      const [recordValues, logprobValues, statValues, logitValues, referenceValues] = data.map(
        (bytes) => new Float32Array(bytes),
      ) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array | undefined];
      const readback = {
        records: recordValues,
        logprobs: logprobValues,
        stats: statValues,
        logitMeans: logitValues,
        reference: referenceValues,
        sequenceOffsets: packed.sequenceOffsets,
      };
      const { objective } = loss.terms[0] as Term;
      return batchMeans(readback, loss.metrics, recordWidth(objective), sidesOf(examples, loss));
    }),
  };
}

/** Mean length of the completions that are learned: of a pair the chosen one. */
export function meanTokens(examples: readonly TokenizedExample[]): number {
  return examples.reduce((sum, { completions }) => sum + completions[0].length, 0) / examples.length;
}

/** What stands for a reference where there is none. */
function zeros(gpu: Gpu, count: number): Tensor {
  return Tensor.from(gpu, new Float32Array(count), [count], 'no reference');
}

function labelsOf(examples: readonly TokenizedExample[]): Uint32Array {
  return Uint32Array.from(examples, ({ desirable }) => (desirable === false ? 0 : 1));
}

/** Pairs have both; of a labelled example only the completion itself is either. */
function sidesOf(examples: readonly TokenizedExample[], { terms }: Loss): Side[] {
  const { objective } = terms[0] as Term;
  return examples.flatMap(({ desirable }): Side[] => {
    if (objective.unit === 'pair') return ['chosen', 'rejected'];
    const side: Side = desirable === false ? 'rejected' : 'chosen';
    return completionsOf(objective) === 2 ? [side, undefined] : [side];
  });
}

/** What only serves a baseline is not counted. */
function countTokens({ prompt, completions }: TokenizedExample, { terms }: Loss): number {
  const counted = (terms[0] as Term).objective.unit === 'pair' ? completions : completions.slice(0, 1);
  return counted.reduce((n, completion) => n + prompt.length + completion.length, 0);
}
