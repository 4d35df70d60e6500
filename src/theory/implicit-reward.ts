/**
 * The inverse of Theorem 1, policy → reward: every policy is optimal for the reward f = β log(π / π_ref) + β log Z (Rafailov
 * et al. 2023, equation 5), the implicit reward of DPO. Exact over the answers; gives no gradients.
 */
import shader from '../../shaders/theory/implicit-reward.wgsl';
import { kernels } from '../gpu/kernel.ts';
import { checkPerRow, inRowBlocks } from '../ops/logits.ts';
import { logSoftmax } from '../ops/softmax.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Beta, checkAnswers, perRowBeta } from './answers.ts';

export const implicitRewardKernels = kernels(shader, { forward: { threads: (p) => p.count } });

export interface ImplicitRewardInputs {
  /** (N, V): logits of the policy over V answers to each of N prompts. */
  policy: Tensor;
  /** (N, V): logits of the reference. */
  reference: Tensor;
  /** The weight of the divergence, in units of reward per nat: one for all prompts, or (N). */
  beta: Beta;
  /**
   * (N): β log Z of the reward. A policy determines its reward only up to a constant per prompt; by default the result is the
   * reward with Z = 1.
   */
  optimum?: Tensor;
}

/** → f (N, V). −∞ where the policy has −∞, +∞ where only the reference has −∞. Throws a RangeError for mismatched inputs. */
export function implicitReward(tape: Tape, inputs: ImplicitRewardInputs): Tensor {
  const { policy, reference, beta } = inputs;
  checkAnswers('implicitReward', { policy, reference });
  const { gpu } = tape;
  const { rows, cols } = policy;
  const betas = perRowBeta(tape, 'implicitReward', beta, rows);
  const optimum = inputs.optimum ?? tape.empty([rows], 'log Z of 0');
  if (inputs.optimum) checkPerRow('implicitReward: optimum', optimum, rows, 'f32');
  else gpu.recorder.clear(optimum);
  const logPolicy = logSoftmax(tape, policy);
  const logReference = logSoftmax(tape, reference);
  const rewards = tape.empty(policy.shape, 'implicit reward');
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = {
      log_policy: part(logPolicy),
      log_reference: part(logReference),
      beta: part(betas),
      optimum: part(optimum),
      rewards: part(rewards),
    };
    implicitRewardKernels.forward(gpu, buffers, { count: count * cols, cols });
  });
  return rewards;
}
