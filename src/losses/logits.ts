/**
 * A pairwise loss straight from logits, for those who run a model of their own and want the loss and its
 * gradient: token log-probabilities, sums, loss and the way back, in one call. The gradient goes to a buffer of its
 * own, or, where memory is short, in place of the policy's logits. Holds what it allocates until disposed.
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
   * (2P + 1), from 0 to N: pair p's chosen completion owns the rows from offsets[2p], its rejected one from
   * offsets[2p + 1].
   */
  offsets: Uint32Array;
}

export interface DpoOptions {
  /** Another pairwise loss than DPO's. */
  loss?: Loss;
  /** `beta`, `labelSmoothing`, or what else the loss has. */
  options?: Readonly<Record<string, number | undefined>>;
  /** (N, V) Where the gradient is added; without it there is a new tensor. */
  gradient?: Tensor;
  /**
   * Overwrites the policy's logits with the gradient, bit for bit the one that a new tensor would get, so that two buffers of
   * (N, V) are all that is held. The logits are gone then. Not together with `gradient`.
   */
  inPlace?: boolean;
}

export interface DpoResult {
  /** (N, V): d mean loss / d policy logits. With `inPlace` it lies where the policy's logits were. */
  gradient: Tensor;
  /** (P, 13): what each pair came to, in the columns of {@link PAIR_RECORD}. */
  records: Tensor;
  /** Reads the records and returns their means over the pairs: `loss`, `rewards/margins` and the others. */
  metrics(): Promise<Record<string, number>>;
  /** The first of them: the mean loss. */
  loss(): Promise<number>;
  /** Releases the records, and the gradient unless its buffer is the caller's. */
  dispose(): void;
}

/**
 * Mean loss over P pairs and its gradient to the policy's logits. Recorded, not awaited: the work starts with the
 * next submit. Throws a RangeError, before any work, for a target outside the vocabulary, offsets that do not fit, or a
 * gradient that is to lie in two places.
 */
export function dpo(gpu: Gpu, inputs: PreferenceLogits, options: DpoOptions = {}): DpoResult {
  const { policy, reference } = inputs;
  const { loss = sigmoid, gradient: given, inPlace = false } = options;
  checkRows(inputs);
  if (inPlace && given) {
    throw new RangeError(
      `dpo: inPlace puts the gradient where ${policy} is, so that it cannot be added to ${given}; leave one of them out`,
    );
  }
  lossOptions(loss, options.options);
  // A tensor of our own over the same buffer, so that the caller's keeps its gradient.
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
  // A gradient that is not the caller's own is set rather than added to, and kept.
  tape.backward(source, kept);
  scoring.dispose();
  for (const tensor of [targets, offsets]) gpu.pool.release(tensor);

  const metrics = async () =>
    valuesOf(recordMeans(loss.metrics, await records.toArray(gpu), PAIR_RECORD.width));
  return {
    gradient: source.grad as Tensor,
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
    throw new RangeError(`dpo: ${offsets.length} offsets; two for each pair and one more are needed`);
  }
  const ascending = offsets.every((offset, s) => s === 0 || offset >= (offsets[s - 1] as number));
  if (!ascending || offsets[0] !== 0 || offsets[offsets.length - 1] !== rows) {
    throw new RangeError(`dpo: the offsets must ascend from 0 to the ${rows} rows`);
  }
}
