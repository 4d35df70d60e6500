/**
 * How far an adapter has taken a model from itself: log-ratios of what it wrote, from which the KL is estimated.
 */
import type { LoraAdapter } from '../model/lora.ts';
import { implicitRewards } from '../train/implicit-rewards.ts';
import type { Continuation } from './continuations.ts';
import type { OpenModel } from './open.ts';

/**
 * For every story log π − log π_ref in nats, summed over its tokens and the one that ended it: one sample each of
 * KL(π ‖ π_ref), where the story was drawn from π at temperature 1. Without an adapter all are 0.
 */
export async function logRatios(
  { model, tokenizer }: OpenModel,
  adapter: LoraAdapter | undefined,
  stories: readonly Continuation[],
  signal: AbortSignal,
): Promise<number[]> {
  const end = tokenizer.eosId;
  const sequences = stories.map(({ prompt, ids, finished }) => ({
    prompt,
    completion: finished === 'eos' && end !== undefined ? [...ids, end] : ids,
  }));
  const without = model.adapters.filter((each) => each === adapter);
  const scores = await implicitRewards(model, sequences, { beta: 1, without, signal });
  return scores.map(({ reward }) => reward);
}
