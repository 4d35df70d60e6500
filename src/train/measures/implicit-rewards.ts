/**
 * The reward that a policy is optimal for (Rafailov et al. 2023, equation 5): r(x, y) = β log π(y|x)/π_ref(y|x), up to
 * β log Z(x), which is the same for all answers to a prompt. So rewards rank the answers to one prompt; across prompts they
 * are comparable only as far as Z is. Policy and reference are one model with adapters on and off.
 */
import { mean } from '../../base/mean.ts';
import type { TokenizedSequence } from '../../data/packing.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import { type ScoreOptions, sequenceLogprobs } from './sequence-logprobs.ts';

export interface ImplicitReward {
  /** β (log π − log π_ref) */
  reward: number;
  /** log π of the completion, summed over its tokens. */
  logp: number;
  referenceLogp: number;
  tokens: number;
}

export interface ImplicitRewardOptions extends ScoreOptions {
  /** β of the objective that the policy was trained with. */
  beta: number;
  /** Adapters that only the policy has: without them the model is the reference. */
  without: readonly LoraAdapter[];
}

/** The reward of every sequence's completion. Restores the adapters. Throws like {@link sequenceLogprobs}. */
export async function implicitRewards(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  { beta, without, ...options }: ImplicitRewardOptions,
): Promise<ImplicitReward[]> {
  const policy = await sums(model, sequences, options);
  const reference = await model.without(without, () => sums(model, sequences, options));
  return sequences.map(({ completion }, i) => {
    const [logp, referenceLogp] = [policy[i], reference[i]];
    return { reward: beta * (logp - referenceLogp), logp, referenceLogp, tokens: completion.length };
  });
}

async function sums(model: CausalLM, sequences: readonly TokenizedSequence[], options: ScoreOptions) {
  const scores = await sequenceLogprobs(model, sequences, options);
  return scores.map((values) => values.reduce((a, b) => a + b, 0));
}

/** How well rewards separate a labeled set. */
export interface Separation {
  /** Probability that a desirable completion has the larger reward, a tie counting half (area under the ROC curve). */
  auc: number;
  /** Mean reward of desirable and of undesirable completions. */
  desirable: number;
  undesirable: number;
}

/** For rewards with labels; undefined if all labels are equal. */
export function separation(rewards: readonly number[], labels: readonly boolean[]): Separation | undefined {
  const [up, down] = [true, false].map((label) => rewards.filter((_, i) => labels[i] === label)) as [
    number[],
    number[],
  ];
  if (up.length === 0 || down.length === 0) return undefined;
  const wins = up.reduce((sum, a) => sum + down.reduce((n, b) => n + (a > b ? 1 : a === b ? 0.5 : 0), 0), 0);
  return { auc: wins / (up.length * down.length), desirable: mean(up), undesirable: mean(down) };
}
