/**
 * Best of n: of every prompt n completions are drawn, and the one with the largest reward is kept. It needs no training, costs n times
 * the writing, and is the yardstick for what does train.
 */
import type { Message } from '../data/chat-template.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { rewardBatch } from './reward-batch.ts';
import { rate, type WeighedReward } from './rewards.ts';
import { type Samples, sampleCompletions, tokenizePrompts } from './sampling.ts';

export interface BestOfNSettings {
  n: number;
  maxCompletionLength: number;
  temperature: number;
  seed: number;
  /** Seconds that a reward may take for all completions. */
  rewardTimeout: number;
}

export interface BestCompletion {
  prompt: string | readonly Message[];
  /** The completion with the largest reward, the first of several; undefined where nothing was rated. */
  completion: string | readonly Message[] | undefined;
  reward: number | null;
  /** What each of the n earned. */
  rewards: (number | null)[];
}

/** Yields the tokens written so far. Undefined where the signal ended it. Throws as rewards and prompts do. */
export async function* bestOfN(
  model: CausalLM,
  tokenizer: Tokenizer,
  rows: readonly PromptRow[],
  rewards: readonly WeighedReward[],
  { n, rewardTimeout: timeout, ...settings }: BestOfNSettings,
  signal?: AbortSignal,
): AsyncGenerator<number, BestCompletion[] | undefined> {
  const prompts = tokenizePrompts(rows, tokenizer, model, settings.maxCompletionLength);
  const drawing = { ...settings, numGenerations: n };
  const samples: Samples | undefined = yield* sampleCompletions(model, tokenizer, prompts, drawing, signal);
  if (!samples) return undefined;
  const rated = await rate(rewards, rewardBatch(samples, undefined), { timeout, signal });
  return rows.map(({ prompt }, p) => {
    const own = rated.rewards.slice(p * n, (p + 1) * n);
    const best = own.reduce<number>(
      (at, reward, i) => (reward !== null && reward > (own[at] ?? Number.NEGATIVE_INFINITY) ? i : at),
      0,
    );
    const reward = own[best] ?? null;
    return {
      prompt,
      completion: reward === null ? undefined : samples.completions[p * n + best],
      reward,
      rewards: own,
    };
  });
}

/** The KL of best of n to the model that writes, at most: log n − (n − 1)/n nats (Beirami et al. 2024). */
export function bestOfNKlBound(n: number): number {
  return Math.log(n) - (n - 1) / n;
}
