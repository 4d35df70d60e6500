/**
 * What the model writes on openings that it was not trained on, all at once, and how glad its stories are: the same
 * openings and the same random numbers before training and after, so that what differs is the adapter's doing.
 */
import type { Measurement, Side } from './messages.ts';
import type { Runtime } from './runtime.ts';
import { SAMPLING } from './task.ts';

/** Stories that are shown in full. */
const SHOWN = 6;

/** Writes one story an opening, telling how many are done. Rejects with the signal's reason. */
export async function measure(
  runtime: Runtime,
  side: Side,
  openings: readonly string[],
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<Measurement> {
  const ids: number[][] = openings.map(() => []);
  let done = 0;
  for await (const updates of runtime.write(side, openings, { ...SAMPLING, signal, every: 8 })) {
    for (const { sequence, ids: more, finished } of updates) {
      ids[sequence]?.push(...more);
      if (finished) done++;
    }
    const written = ids.reduce((sum, each) => sum + each.length, 0);
    // A story may end early; those still open are as far along as their tokens.
    onProgress(Math.max(done, Math.floor(written / SAMPLING.maxNewTokens)));
  }
  const stories = ids.map((each) => runtime.scored(each));
  const scores = stories.map(({ score }) => score);
  const mean = average(scores);
  const variance =
    average(scores.map((score) => (score - mean) ** 2)) * (scores.length / (scores.length - 1));
  return {
    scores,
    mean,
    standardError: Math.sqrt(variance / scores.length),
    samples: stories.slice(0, SHOWN).map((story, i) => ({ prompt: openings[i] ?? '', story })),
  };
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
