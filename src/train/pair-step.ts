/**
 * One micro-batch of pairs, forward and backward: the step as the data flows. Pairs are packed, the policy scores them,
 * the objective gives loss and derivative, the tape runs backwards into the parameters' gradients. Nothing is awaited;
 * what the metrics need is copied for a late read.
 */
import { packPairs, type TokenizedPair } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { ObjectiveParameters, PairwiseObjective } from '../objectives/catalogue.ts';
import { pairwiseLoss } from '../objectives/pairwise.ts';
import { sequenceSums } from '../ops/sequence-sum.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { scoreRows, type VocabularyMean } from './forward.ts';
import { batchMetrics, type WeightedMetrics } from './metrics.ts';

export interface PairStepContext {
  model: CausalLM;
  objective: PairwiseObjective;
  parameters: ObjectiveParameters;
  vocabularyMean: VocabularyMean;
  gradientCheckpointing: boolean;
}

export interface PairBatch {
  pairs: readonly TokenizedPair[];
  /** Per pair, as {@link ReferenceLogprobs} has them. */
  reference: readonly Float32Array[];
}

/** What a micro-batch promises. */
export interface PairStepResult {
  /** Packed tokens computed. */
  tokens: number;
  /** Prompt and completion tokens of both sequences, as TRL counts them. */
  numTokens: number;
  metrics: Promise<WeightedMetrics>;
}

/**
 * Runs a micro-batch on `gpu`, which may be a counting one. With `scale` (1 / pairs of the optimizer step) gradients are
 * added to the parameters'; without it the pairs are only evaluated.
 */
export function runPairs(
  gpu: Gpu,
  context: PairStepContext,
  { pairs, reference }: PairBatch,
  scale?: number,
): PairStepResult {
  const { model, objective, parameters, vocabularyMean, gradientCheckpointing } = context;
  const packed = packPairs(pairs);
  const referenceRows = Float32Array.from(reference.flatMap((values) => [...values]));

  const batch = new DeviceBatch(gpu, packed, model.parameters && model.config.vocabSize);
  const referenceLogprobs = Tensor.from(
    gpu,
    referenceRows,
    [referenceRows.length],
    'reference log-probabilities',
  );
  const tape = scale === undefined ? Tape.forInference(gpu) : Tape.forTraining(gpu);
  const { logprobs, stats, logitMeans } = scoreRows(
    tape,
    model,
    batch,
    vocabularyMean,
    gradientCheckpointing,
  );
  const sums = sequenceSums(tape, logprobs, batch.sequenceOffsets);
  const referenceSums = sequenceSums(tape, referenceLogprobs, batch.sequenceOffsets);
  const offsets = batch.sequenceOffsets;
  const { records } = pairwiseLoss(tape, objective, sums, referenceSums, offsets, parameters, scale);

  const late = Promise.all([records, logprobs, stats, logitMeans].map((tensor) => gpu.recorder.read(tensor)));
  if (scale === undefined) tape.dispose();
  else tape.backward();
  gpu.pool.release(referenceLogprobs);
  batch.dispose();

  return {
    tokens: packed.ids.length,
    numTokens: pairs.reduce(
      (n, { prompt, chosen, rejected }) => n + 2 * prompt.length + chosen.length + rejected.length,
      0,
    ),
    metrics: late.then((data) => {
      const [recordValues, logprobValues, statValues, meanValues] = data.map(
        (bytes) => new Float32Array(bytes),
      ) as [Float32Array, Float32Array, Float32Array, Float32Array];
      return batchMetrics({
        records: recordValues,
        logprobs: logprobValues,
        stats: statValues,
        logitMeans: meanValues,
        reference: referenceRows,
        sequenceOffsets: packed.sequenceOffsets,
      });
    }),
  };
}

/** The pairs of the given numbers, with their reference. */
export function pairBatch(
  examples: Uint32Array,
  pairs: readonly TokenizedPair[],
  reference: PairBatch['reference'],
): PairBatch {
  const chosen = [...examples];
  return { pairs: chosen.map((i) => pairs[i]), reference: chosen.map((i) => reference[i]) };
}
