/**
 * Generates stories for openings that the model was not trained on, all at once, and rates their sentiment: with the same
 * openings and random numbers before and after training, so that differences come from the adapter. After training it also
 * measures the KL, which the policy's own stories estimate without bias.
 */

import { addUpdate, sampledTokens } from 'webalign/models';
import { estimateMean } from 'webalign/theory';
import { sampleFigures } from 'webalign/trainers';
import { ALIGN_SHOWN } from '../../src/cli/align-task.ts';
import { withCut } from '../../src/cli/report/text-figures.ts';
import type { Measurement, Side } from './messages.ts';
import type { Runtime, Story } from './runtime.ts';
import { SAMPLING } from './task.ts';

/** Generates one story per opening, and reports how many are done. Rejects with the signal's reason. */
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
      addUpdate(stories[update.sequence], update);
      written += update.ids.length;
      if (update.finished) done++;
    }
    // All stories are generated together, so progress is estimated from the number of tokens.
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
      story: { ...story, text: withCut(story.text, stories[i].finished) },
    })),
    figures: sampleFigures(texts, reference),
  };
  if (side === 'before') return measurement;
  // KL(π ‖ π_ref) in nats per story: the mean of log π − log π_ref over the policy's own stories.
  const policy = await runtime.logprobs('after', stories, signal);
  return { ...measurement, kl: estimateMean([policy.map((value, i) => value - reference[i])]) };
}
