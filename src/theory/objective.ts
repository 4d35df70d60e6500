/**
 * Objective (1) on finite answer sets: J(π) = E_π[r] − β KL(π ‖ π_ref), exact over the answers, with its gradient to the
 * policy's logits. The reference and the rewards are constants without gradients.
 */
import shader from '../../shaders/theory/objective.wgsl';
import { type Grid, kernels } from '../gpu/kernel.ts';
import { expectation } from '../ops/expectation.ts';
import { kl } from '../ops/kl.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Beta, checkAnswers, perRowBeta } from './answers.ts';

const perRow: Grid = { threads: (p) => p.rows };

export const objectiveKernels = kernels(shader, {
  forward: perRow,
  backward_reward: perRow,
  backward_kl: perRow,
});

export interface ObjectiveInputs {
  /** (N, V): logits of the policy over V answers to each of N prompts; log-probabilities are logits too. */
  policy: Tensor;
  /** (N, V): logits of the reference; −∞ outside its support. */
  reference: Tensor;
  /** (N, V): the reward of each answer. */
  rewards: Tensor;
  /** The weight of the divergence, in units of reward per nat: one for all prompts, or (N). */
  beta: Beta;
}

export interface ObjectiveValue {
  /** (N): J(π). −∞ if the policy has an answer outside the reference's support. */
  value: Tensor;
  /** (N): E_π[r]. */
  reward: Tensor;
  /** (N): KL(π ‖ π_ref) in nats. */
  kl: Tensor;
}

/** J(π) and its two parts, each a root for gradients to the policy. Throws a RangeError for mismatched inputs. */
export function objective(tape: Tape, { policy, reference, rewards, beta }: ObjectiveInputs): ObjectiveValue {
  checkAnswers('objective', { policy, reference, rewards });
  const { gpu } = tape;
  const { rows } = policy;
  const betas = perRowBeta(tape, 'objective', beta, rows);
  const reward = expectation(tape, policy, rewards);
  const divergence = kl(tape, policy, reference);
  const value = tape.empty([rows], 'objective');
  const buffers = { reward, kl: divergence, beta: betas, value };
  objectiveKernels.forward(gpu, buffers, { rows, accumulate: 0 });
  const backward = () => {
    const dvalue = value.grad!;
    const toReward = tape.gradient(reward);
    if (toReward) {
      const params = { rows, accumulate: toReward.accumulate };
      objectiveKernels.backward_reward(gpu, { dvalue, dreward: toReward.grad }, params);
    }
    const toKl = tape.gradient(divergence);
    if (toKl) {
      const params = { rows, accumulate: toKl.accumulate };
      objectiveKernels.backward_kl(gpu, { dvalue, beta: betas, dkl: toKl.grad }, params);
    }
  };
  tape.record({ inputs: [reward, divergence], outputs: [value], backward });
  return { value, reward, kl: divergence };
}
