/**
 * How far an adapter has taken a model from itself: log-ratios of what it wrote, from which the KL is estimated.
 */
import { sequenceLogprobs } from '../train/sequence-logprobs.ts';
import type { Continuation } from './continuations.ts';
import type { OpenModel } from './open.ts';

/**
 * For every story log π − log π_ref in nats, summed over its tokens and the one that ended it: one sample each of
 * KL(π ‖ π_ref), where the story was drawn from π at temperature 1. Without an adapter all are 0.
 */
export async function logRatios(
  { model, tokenizer }: OpenModel,
  adapter: { enabled: boolean } | undefined,
  stories: readonly Continuation[],
  signal: AbortSignal,
): Promise<number[]> {
  const end = tokenizer.eosId;
  const sequences = stories.map(({ prompt, ids, finished }) => ({
    prompt,
    completion: finished === 'eos' && end !== undefined ? [...ids, end] : ids,
  }));
  const sums = async () =>
    (await sequenceLogprobs(model, sequences, { signal })).map((values) => values.reduce((a, b) => a + b, 0));
  const policy = await sums();
  if (adapter) adapter.enabled = false;
  const reference = await sums();
  if (adapter) adapter.enabled = true;
  return policy.map((value, i) => value - (reference[i] as number));
}
