/**
 * How far adapters have moved a model: log-ratios of its own texts, from which the KL is estimated.
 */
import { type ImplicitReward, implicitRewards, sampledTokens } from 'webalign/models';
import { type SampleFigures, sampleFigures } from 'webalign/trainers';
import type { Continuation } from './continuations.ts';
import type { OpenModel } from './open.ts';

/**
 * For every story log π − log π_ref in nats, summed over its tokens and its end token. Each is one sample of
 * KL(π ‖ π_ref) if the story was sampled from π at temperature 1. π_ref is the model without any adapter.
 */
export async function logRatios(
  open: OpenModel,
  stories: readonly Continuation[],
  signal: AbortSignal,
): Promise<number[]> {
  return (await withReference(open, stories, signal)).map(({ reward }) => reward);
}

/** Stories of the model before and after training, and the log-ratios of those after. */
export async function readStories(
  open: OpenModel,
  { before, after }: Record<'before' | 'after', readonly Continuation[]>,
  signal: AbortSignal,
): Promise<{ samples: Record<'before' | 'after', SampleFigures>; ratios: number[] }> {
  const [was, is] = [await withReference(open, before, signal), await withReference(open, after, signal)];
  const figures = (stories: readonly Continuation[], scores: readonly ImplicitReward[]) =>
    sampleFigures(
      stories.map((story) => ({ ids: sampledTokens(story), finished: story.finished })),
      scores.map(({ referenceLogp }) => referenceLogp),
    );
  return {
    samples: { before: figures(before, was), after: figures(after, is) },
    ratios: is.map(({ reward }) => reward),
  };
}

function withReference({ model }: OpenModel, stories: readonly Continuation[], signal: AbortSignal) {
  const sequences = stories.map((story) => ({ prompt: story.prompt, completion: sampledTokens(story) }));
  return implicitRewards(model, sequences, { beta: 1, without: model.adapters, signal });
}
