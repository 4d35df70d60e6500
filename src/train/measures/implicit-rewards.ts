/**
 * The reward that a policy is optimal for (Rafailov et al. 2023, equation 5): r(x, y) = β log π(y|x)/π_ref(y|x), up to
 * β log Z(x), which is the same for all answers to a prompt. So rewards rank the answers to one prompt; across prompts they
 * compare only as far as Z does. Policy and reference are one model with adapters on and off.
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
  /** Adapters that are the policy's alone: without them the model is the reference. */
  without: readonly LoraAdapter[];
}

/** For every sequence its completion's reward. Adapters are left as they were. Throws as {@link sequenceLogprobs}. */
export async function implicitRewards(
  model: CausalLM,
  sequences: readonly TokenizedSequence[],
  { beta, without, ...options }: ImplicitRewardOptions,
): Promise<ImplicitReward[]> {
  const policy = await sums(model, sequences, options);
  const reference = await model.without(without, () => sums(model, sequences, options));
  return sequences.map(({ completion }, i) => {
    const [logp, referenceLogp] = [policy[i] as number, reference[i] as number];
    return { reward: beta * (logp - referenceLogp), logp, referenceLogp, tokens: completion.length };
  });
}

async function sums(model: CausalLM, sequences: readonly TokenizedSequence[], options: ScoreOptions) {
  const scores = await sequenceLogprobs(model, sequences, options);
  return scores.map((values) => values.reduce((a, b) => a + b, 0));
}

/** How well rewards tell a labelled set apart. */
export interface Separation {
  /** Chance that a desirable completion has the larger reward, a tie counting half (area under the ROC curve). */
  auc: number;
  /** Mean reward of the desirable, and of the undesirable ones. */
  desirable: number;
  undesirable: number;
}

/** Of rewards with labels; undefined where all labels are alike. */
export function separation(rewards: readonly number[], labels: readonly boolean[]): Separation | undefined {
  const [up, down] = [true, false].map((label) => rewards.filter((_, i) => labels[i] === label)) as [
    number[],
    number[],
  ];
  if (up.length === 0 || down.length === 0) return undefined;
  const wins = up.reduce((sum, a) => sum + down.reduce((n, b) => n + (a > b ? 1 : a === b ? 0.5 : 0), 0), 0);
  return { auc: wins / (up.length * down.length), desirable: mean(up), undesirable: mean(down) };
}
