/**
 * Metrics of examples without training on them: TRL's names, means over examples.
 */
import type { TokenizedExample } from '../data/packing.ts';
import type { Metrics } from './events.ts';
import { joinMeans } from './metrics.ts';
import { runBatch, type StepContext } from './step.ts';

/** Runs the examples `batchSize` at a time; the device works on a batch while the next is being recorded. */
export async function evaluateExamples(
  context: StepContext,
  examples: readonly TokenizedExample[],
  batchSize: number,
): Promise<Metrics> {
  const { gpu } = context.model;
  const parts = [];
  for (let start = 0; start < examples.length; start += batchSize) {
    const { means } = runBatch(gpu, context, examples.slice(start, start + batchSize));
    means.catch(() => undefined); // awaited below
    parts.push(means);
    await gpu.settle(gpu.recorder.throttle());
  }
  return joinMeans(await gpu.settle(Promise.all(parts)));
}
