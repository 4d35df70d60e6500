/**
 * Theorem 1, reward → policy: the policy that maximizes objective (1) for any reward f, π* = π_ref e^(f/β) / Z, its
 * partition function, and the maximum itself, β log Z (Rafailov et al. 2023, equation 4 and appendix A.1). Exact over the
 * answers, in log-space; gives no gradients.
 */
import shader from '../../shaders/theory/optimal-policy.wgsl';
import { kernels } from '../gpu/kernel.ts';
import { sharingRows } from '../gpu/loops.ts';
import { inRowBlocks } from '../ops/logits.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Beta, checkAnswers, perRowBeta } from './answers.ts';

export const optimalPolicyKernels = kernels(shader, { forward: { groups: (p) => p.rows } });

/** Upper bound of a kernel's iterations per answer: it reads a row four times. */
const PER_ANSWER = 5;

export interface OptimalPolicyInputs {
  /** (N, V): logits of the reference over V answers to each of N prompts; −∞ outside its support. */
  reference: Tensor;
  /** (N, V): f, of up to ±10⁸; −∞ forbids an answer. Values outside the support are ignored. */
  rewards: Tensor;
  /** The weight of the divergence, in units of reward per nat: one for all prompts, or (N). */
  beta: Beta;
}

export interface OptimalPolicy {
  /** (N, V): log π*, −∞ where the reference or the reward has −∞. */
  logPolicy: Tensor;
  /** (N): log Z. */
  logPartition: Tensor;
  /** (N): β log Z = J(π*), the maximum of objective (1). */
  optimum: Tensor;
}

/**
 * As β → 0, π* becomes the reference restricted to the answers with the highest reward; as β → ∞ it becomes the reference,
 * and β log Z the reference's mean reward. If a prompt has no possible answer, all its results are −∞. Throws a RangeError for
 * mismatched inputs.
 */
export function optimalPolicy(tape: Tape, { reference, rewards, beta }: OptimalPolicyInputs): OptimalPolicy {
  checkAnswers('optimalPolicy', { reference, rewards });
  const { gpu } = tape;
  const { rows, cols } = reference;
  const betas = perRowBeta(tape, 'optimalPolicy', beta, rows);
  const logPolicy = tape.empty(reference.shape, 'log optimal policy');
  const logPartition = tape.empty([rows], 'log partition');
  const optimum = tape.empty([rows], 'optimum');
  const constants = sharingRows(gpu, cols, PER_ANSWER);
  inRowBlocks(gpu, rows, cols, (count, part) => {
    const buffers = {
      logits: part(reference),
      rewards: part(rewards),
      beta: part(betas),
      log_policy: part(logPolicy),
      log_partition: part(logPartition),
      optimum: part(optimum),
    };
    optimalPolicyKernels.forward(gpu, buffers, { rows: count, cols }, constants);
  });
  return { logPolicy, logPartition, optimum };
}
