/**
 * A reward model that learns from pairs which story is better, and the drafts for the user's questions. Both use the model
 * without the policy's adapter.
 */

import { type Comparison, textAfter } from 'webalign/data';
import { type Adapter, addUpdate, emptyGenerations, sampledTokens, streamGeneration } from 'webalign/models';
import { RewardTrainer } from 'webalign/trainers';

import type { Runtime } from './runtime.ts';
import { MOST_TOKENS, REWARD_LORA, rewardArgs } from './task.ts';

/** A pair as the sampled token ids, so that a truncated story is scored where it was truncated. */
export interface TokenPair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

export interface Draft {
  text: string;
  tokens: number[];
}

/** Generates two drafts for each of some openings. */
export async function writeDrafts(
  { model, tokenizer, turns, asItWas }: Runtime,
  openings: readonly string[],
  options: { seed: number; signal: AbortSignal },
): Promise<{ prompt: string; ids: number[]; drafts: [Draft, Draft] }[]> {
  const prompts = openings.map((opening) => tokenizer.encode(opening));
  const written = emptyGenerations(2 * prompts.length);
  const sampling = { numReturnSequences: 2, maxNewTokens: MOST_TOKENS, temperature: 1 };
  const writing = streamGeneration(model, prompts, { ...sampling, ...options });
  for await (const updates of turns.each(writing, asItWas))
    for (const update of updates) addUpdate(written[update.sequence], update);
  return openings.map((prompt, p) => {
    const ids = prompts[p];
    const draft = (i: number): Draft => {
      const generation = written[2 * p + i];
      return { text: textAfter(tokenizer, ids, generation.ids), tokens: sampledTokens(generation) };
    };
    return { prompt, ids, drafts: [draft(0), draft(1)] };
  });
}

export interface Fit {
  adapter: Adapter;
  pairs: number;
  /** Accuracy on the pairs of the last steps. */
  accuracy: number;
}

/** Number of steps for the reported accuracy. */
const LAST = 5;

/** Trains on pairs; undefined if aborted, because a partly trained model is useless. */
export async function fitReward(
  { model, tokenizer, turns }: Runtime,
  pairs: readonly Comparison[],
  {
    seed,
    signal,
    onProgress,
  }: { seed: number; signal: AbortSignal; onProgress: (done: number, total: number) => void },
): Promise<Fit | undefined> {
  const trainer = new RewardTrainer({
    model,
    processingClass: tokenizer,
    trainDataset: pairs,
    args: rewardArgs(pairs.length, seed),
    peftConfig: REWARD_LORA,
  });
  const { adapter } = trainer;
  if (!adapter) throw new Error('The reward model has no adapter.');
  const told: number[] = [];
  try {
    for await (const event of turns.each(trainer.train({ signal }))) {
      if (event.type !== 'step') continue;
      const { accuracy = Number.NaN } = event.metrics;
      told.push(accuracy);
      onProgress(event.step, event.totalSteps);
    }
    if (signal.aborted) return undefined;
    const last = told.slice(-LAST);
    const accuracy = last.reduce((a, b) => a + b, 0) / last.length;
    return { adapter: await turns.run(() => adapter.toAdapter()), pairs: pairs.length, accuracy };
  } finally {
    trainer.dispose();
    model.detach(adapter);
  }
}
