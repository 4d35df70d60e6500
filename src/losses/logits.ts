/**
 * A pairwise loss directly from logits, for callers with their own model who need the loss and its
 * gradient: token log-probabilities, sums, loss and backward pass in one call. The gradient is written to a new
 * buffer or, to save memory, over the policy's logits. Holds its allocations until disposed.
 */
import type { Gpu } from '../gpu/device.ts';
import { sequenceSums } from '../ops/sequence-sum.ts';
import { tokenLogprobs } from '../ops/token-logprob.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { completionLoss } from './completion-loss.ts';
import type { Loss } from './loss.ts';
import { lossOptions } from './options.ts';
import { sigmoid } from './pair-losses.ts';
import { PAIR_RECORD, recordMeans, valuesOf } from './units.ts';

export interface PreferenceLogits {
  /** (N, V): the policy's logits, one row for each completion token, at the position that predicts it. */
  policy: Tensor;
  /** (N, V): the reference's logits at the same positions. */
  reference: Tensor;
  /** The tokens themselves (N), each below V. */
  targets: Uint32Array;
  /**
   * (2P + 1), from 0 to N: pair p's chosen completion has the rows from offsets[2p], its rejected one from
   * offsets[2p + 1].
   */
  offsets: Uint32Array;
}

export interface DpoOptions {
  /** A pairwise loss; default: DPO. */
  loss?: Loss;
  /** Options of the loss, such as `beta` and `labelSmoothing`. */
  options?: Readonly<Record<string, number | undefined>>;
  /** (N, V) The tensor to which the gradient is added; default: a new tensor. */
  gradient?: Tensor;
  /**
   * Overwrites the policy's logits with the gradient, bit for bit the same as in a new tensor, so that only two buffers of
   * (N, V) are needed. The logits are lost. Cannot be combined with `gradient`.
   */
  inPlace?: boolean;
}

export interface DpoResult {
  /** (N, V): d mean loss / d policy logits. With `inPlace` it replaces the policy's logits. */
  gradient: Tensor;
  /** (P, 13): one record per pair, with the columns of {@link PAIR_RECORD}. */
  records: Tensor;
  /** Reads the records and returns their means over the pairs: `loss`, `rewards/margins` and the others. */
  metrics(): Promise<Record<string, number>>;
  /** The mean loss only. */
  loss(): Promise<number>;
  /** Releases the records, and also the gradient unless the caller owns its buffer. */
  dispose(): void;
}

/**
 * Mean loss over P pairs and its gradient to the policy's logits. Recorded but not awaited: the work starts with the
 * next submit. Throws a RangeError, before any work, for a target outside the vocabulary, offsets that do not match, or
 * both `inPlace` and `gradient`.
 */
export function dpo(gpu: Gpu, inputs: PreferenceLogits, options: DpoOptions = {}): DpoResult {
  const { policy, reference } = inputs;
  const { loss = sigmoid, gradient: given, inPlace = false } = options;
  checkRows(inputs);
  if (inPlace && given) {
    throw new RangeError(
      `dpo: inPlace writes the gradient over ${policy}, so it cannot also be added to ${given}; leave one of them out`,
    );
  }
  lossOptions(loss, options.options);
  // A separate tensor over the same buffer, so that the caller's tensor keeps its gradient.
  const source = new Tensor(policy, policy.shape, 'f32', 'policy logits');
  source.requiresGrad = true;
  source.grad = given;

  const pairs = (inputs.offsets.length - 1) / 2;
  const kept = Tape.forInference(gpu);
  const records = kept.empty([pairs, PAIR_RECORD.width], 'pair records');
  const targets = Tensor.from(gpu, inputs.targets, [inputs.targets.length], 'targets', 'batch');
  const offsets = Tensor.from(gpu, inputs.offsets, [inputs.offsets.length], 'sequence offsets', 'batch');
  const scoring = Tape.forInference(gpu);
  const referenceSums = sequenceSums(scoring, tokenLogprobs(scoring, reference, targets).logprobs, offsets);
  const tape = Tape.forTraining(gpu);
  const sums = sequenceSums(tape, tokenLogprobs(tape, source, targets, { inPlace }).logprobs, offsets);
  const term = { loss, options: options.options };
  const result = completionLoss(tape, [term], { sums, reference: referenceSums, offsets });
  gpu.recorder.copy(result.records, records);
  // A gradient that the caller does not own is set rather than added to, and kept.
  tape.backward(source, kept);
  scoring.dispose();
  for (const tensor of [targets, offsets]) gpu.pool.release(tensor);

  const metrics = async () =>
    valuesOf(recordMeans(loss.metrics, await records.toArray(gpu), PAIR_RECORD.width));
  return {
    gradient: source.grad!,
    records,
    metrics,
    loss: async () => (await metrics()).loss,
    dispose: () => kept.dispose(),
  };
}

function checkRows({ policy, reference, targets, offsets }: PreferenceLogits): void {
  const { rows, cols } = policy;
  if (reference.rows !== rows || reference.cols !== cols) {
    throw new RangeError(`dpo: ${policy} and ${reference} differ in shape`);
  }
  if (targets.length !== rows)
    throw new RangeError(`dpo: ${targets.length} targets for ${rows} rows of logits`);
  const outside = targets.findIndex((target) => target >= cols);
  if (outside >= 0) {
    throw new RangeError(
      `dpo: target ${targets[outside]} of row ${outside} is outside the vocabulary of ${cols}`,
    );
  }
  if (offsets.length < 3 || offsets.length % 2 === 0) {
    throw new RangeError(`dpo: expected two offsets for each pair and one more, got ${offsets.length}`);
  }
  const ascending = offsets.every((offset, s) => s === 0 || offset >= offsets[s - 1]);
  if (!ascending || offsets[0] !== 0 || offsets[offsets.length - 1] !== rows) {
    throw new RangeError(`dpo: offsets must increase from 0 to ${rows}, the number of rows`);
  }
}
