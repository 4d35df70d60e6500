/**
 * How far adapters have taken a model from itself: log-ratios of what it wrote, from which the KL is estimated.
 */
import { sampledTokens } from '../model/generation.ts';
import { implicitRewards } from '../train/implicit-rewards.ts';
import type { Continuation } from './continuations.ts';
import type { OpenModel } from './open.ts';

/**
 * For every story log π − log π_ref in nats, summed over its tokens and the one that ended it: one sample each of
 * KL(π ‖ π_ref), where the story was drawn from π at temperature 1. π_ref is the model without any adapter.
 */
export async function logRatios(
  { model }: OpenModel,
  stories: readonly Continuation[],
  signal: AbortSignal,
): Promise<number[]> {
  const sequences = stories.map((story) => ({ prompt: story.prompt, completion: sampledTokens(story) }));
  const rewards = await implicitRewards(model, sequences, { beta: 1, without: model.adapters, signal });
  return rewards.map(({ reward }) => reward);
}
