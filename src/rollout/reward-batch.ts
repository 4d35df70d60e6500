/**
 * Sampled completions in the form that reward functions receive.
 */
import { own } from '../base/lookup.ts';
import type { RewardBatch } from './rewards.ts';
import type { Samples } from './sampling.ts';

/** All lists are in the order of the completions; `step` is undefined outside training. */
export function rewardBatch(
  { prompts, examples, completions, finished, tokenizer }: Samples,
  step: number | undefined,
): Omit<RewardBatch, 'logMetric'> {
  const copies = completions.length / Math.max(1, prompts.length);
  const rows = completions.map((_, i) => prompts[Math.floor(i / copies)]?.row);
  const names = new Set(rows.flatMap((row) => Object.keys(row?.columns ?? {})));
  const columns = [...names].map((name) => [name, rows.map((row) => own(row?.columns ?? {}, name))]);
  return {
    prompts: rows.map((row) => row?.prompt ?? ''),
    completions,
    promptIds: examples.flatMap(({ prompt, completions }) => {
      const ids = [...prompt];
      return completions.map(() => ids);
    }),
    completionIds: examples.flatMap(({ completions }) => completions.map((ids) => [...ids])),
    tokenizer,
    columns: Object.fromEntries(columns),
    finished,
    step,
  };
}
