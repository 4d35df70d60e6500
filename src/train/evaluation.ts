/**
 * Metrics of pairs without training on them: TRL's names, means over pairs.
 */
import type { Metrics } from './events.ts';
import { meanMetrics } from './metrics.ts';
import { type PairBatch, type PairStepContext, runPairs } from './pair-step.ts';

/** Runs the pairs `batchSize` at a time; the device works on a batch while the next is being recorded. */
export async function evaluatePairs(
  context: PairStepContext,
  { pairs, reference }: PairBatch,
  batchSize: number,
): Promise<Metrics> {
  const { gpu } = context.model;
  const parts = [];
  for (let start = 0; start < pairs.length; start += batchSize) {
    const end = start + batchSize;
    const batch = { pairs: pairs.slice(start, end), reference: reference.slice(start, end) };
    const { metrics } = runPairs(gpu, context, batch);
    metrics.catch(() => undefined); // awaited below
    parts.push(metrics);
    await gpu.settle(gpu.recorder.throttle());
  }
  return meanMetrics(await gpu.settle(Promise.all(parts)));
}
