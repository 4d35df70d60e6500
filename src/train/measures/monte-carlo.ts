/**
 * Objective (1) of a model, measured: J(π) = E_{y~π}[r(x, y)] − β KL(π ‖ π_ref) from samples of the policy, and the value of the
 * optimum of Theorem 1, from samples of the reference. The policy is the model with its adapters, the reference
 * the model without some of them; the caller provides the reward.
 */
import type { CausalLM } from '../../model/causal-lm.ts';
import { type Generation, generate, sampledTokens } from '../../model/generation.ts';
import type { GenerationOptions } from '../../model/generation-options.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import {
  type Estimate,
  estimateKl,
  estimateObjective,
  estimateOptimum,
  type OptimumEstimate,
} from '../../theory/estimators.ts';
import { implicitRewards } from './implicit-rewards.ts';

/** Rates a text written for a prompt, given by its index. */
export type RewardFunction = (generation: Generation, prompt: number) => number;

/** Samples from the model's whole, unchanged distribution. */
const WHOLE = {
  doSample: true,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
} as const satisfies Partial<GenerationOptions>;

export interface MonteCarloOptions extends Omit<GenerationOptions, keyof typeof WHOLE> {
  reward: RewardFunction;
  beta: number;
  /** Adapters that only the policy has. */
  without: readonly LoraAdapter[];
}

export interface PolicyEstimate {
  /** E_π[r] − β KL, with k1. */
  objective: Estimate;
  reward: Estimate;
  /** KL(π ‖ π_ref) in nats per sequence, by Schulman's three estimators. */
  kl: { k1: Estimate; k2: Estimate; k3: Estimate };
  /** The samples, prompt by prompt. */
  generations: Generation[];
}

/**
 * Samples the policy `numReturnSequences` times on every prompt, and estimates its objective. Samples come from the whole
 * distribution at temperature 1, to which the KL refers, and end with whichever end token was drawn;
 * standard errors assume independent samples. Throws like {@link generate}.
 */
export async function estimatePolicy(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  { reward, beta, without, ...options }: MonteCarloOptions,
): Promise<PolicyEstimate> {
  const copies = options.numReturnSequences ?? 1;
  const generations = await generate(model, prompts, { ...options, ...WHOLE });
  const sequences = generations.map((generation, i) => ({
    prompt: [...prompts[Math.floor(i / copies)]],
    completion: sampledTokens(generation),
  }));
  const signal = options.signal ? { signal: options.signal } : {};
  const scores = await implicitRewards(model, sequences, { beta, without, ...signal });
  const policy = scores.map(({ logp }) => logp);
  const reference = scores.map(({ referenceLogp }) => referenceLogp);
  const rewards = generations.map((generation, i) => reward(generation, Math.floor(i / copies)));
  const { objective, reward: mean } = estimateObjective({ rewards, policy, reference, beta });
  const by = (estimator: 'k1' | 'k2' | 'k3') => estimateKl(policy, reference, estimator);
  return { objective, reward: mean, kl: { k1: by('k1'), k2: by('k2'), k3: by('k3') }, generations };
}

/**
 * E_{π*}[r], KL(π* ‖ π_ref) and log Z from `numReturnSequences` samples of the reference on every prompt, by
 * self-normalized weights e^(r/β); see {@link estimateOptimum} for their reliability.
 */
export async function estimateModelOptimum(
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  { reward, beta, without, ...options }: MonteCarloOptions,
): Promise<OptimumEstimate> {
  const copies = options.numReturnSequences ?? 1;
  const generations = await model.without(without, () => generate(model, prompts, { ...options, ...WHOLE }));
  const rewards = generations.map((generation, i) => reward(generation, Math.floor(i / copies)));
  const ofPrompt = (p: number) => rewards.slice(p * copies, (p + 1) * copies);
  return estimateOptimum(
    prompts.map((_prompt, p) => ofPrompt(p)),
    beta,
  );
}
