/**
 * What the model writes on openings that it was not trained on, all at once, and how glad its stories are: the same
 * openings and the same random numbers before training and after, so that what differs is the adapter's doing. After
 * training also how far the policy has moved, which its own stories tell without bias.
 */

import { addUpdate, sampledTokens } from 'webalign/models';
import { estimateMean } from 'webalign/theory';
import { sampleFigures } from 'webalign/trainers';
import { ALIGN_SHOWN } from '../../src/cli/align-task.ts';
import { withCut } from '../../src/cli/report/text-figures.ts';
import type { Measurement, Side } from './messages.ts';
import type { Runtime, Story } from './runtime.ts';
import { SAMPLING } from './task.ts';

/** Writes one story an opening, telling how many are done. Rejects with the signal's reason. */
export async function measure(
  runtime: Runtime,
  side: Side,
  openings: readonly string[],
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<Measurement> {
  const stories: Story[] = openings.map((opening) => ({ opening, ids: [], finished: 'length' }));
  let done = 0;
  let written = 0;
  for await (const updates of runtime.write(side, openings, { ...SAMPLING, signal, every: 8 })) {
    for (const update of updates) {
      addUpdate(stories[update.sequence] as Story, update);
      written += update.ids.length;
      if (update.finished) done++;
    }
    // All are written side by side, so before the end none is done but all are on their way.
    onProgress(Math.max(done, Math.floor(written / SAMPLING.maxNewTokens)));
  }
  const scored = stories.map(({ opening, ids }) => ({
    prompt: opening,
    story: runtime.scored(opening, ids),
  }));
  const scores = scored.map(({ story }) => story.score);
  const reference = await runtime.logprobs('before', stories, signal);
  const texts = stories.map((story) => ({ ids: sampledTokens(story), finished: story.finished }));
  const measurement: Measurement = {
    scores,
    ...estimateMean([scores]),
    samples: scored.slice(0, ALIGN_SHOWN).map(({ prompt, story }, i) => ({
      prompt,
      story: { ...story, text: withCut(story.text, (stories[i] as Story).finished) },
    })),
    figures: sampleFigures(texts, reference),
  };
  if (side === 'before') return measurement;
  // KL(π ‖ π_ref) in nats a story: the mean of log π − log π_ref over the policy's own stories.
  const policy = await runtime.logprobs('after', stories, signal);
  return { ...measurement, kl: estimateMean([policy.map((value, i) => value - (reference[i] as number))]) };
}
