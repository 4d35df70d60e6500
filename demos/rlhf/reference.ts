/**
 * Estimates the best possible objective: stories of the original model for the held-out prompts, weighted by e^(r/β) as in
 * Theorem 1. They also give the policy's values before its first step, because it is then the reference.
 */
import {
  addUpdate,
  emptyGenerations,
  type Generation,
  sampledTokens,
  streamGeneration,
} from 'webalign/models';
import { rate, type WeighedReward } from 'webalign/rollouts';
import { estimateGap, estimateOptimum } from 'webalign/theory';
import type { HeldOutPoint, Optimum } from './messages.ts';
import type { Runtime } from './runtime.ts';
import { COPIES, MOST_TOKENS } from './task.ts';

/** Offset of the seed: the stories use other random numbers than training and evaluations. */
const SEED = 2 ** 30;

export interface ReferenceOptions {
  prompts: readonly string[];
  reward: WeighedReward;
  beta: number;
  seed: number;
  /** Maximum seconds for the reward. */
  timeout: number;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

/** Generates and rates the stories. Rejects with the signal's reason, and like `rate`. */
export async function drawReference(
  { model, tokenizer, turns, asItWas }: Runtime,
  { prompts, reward, beta, seed, timeout, signal, onProgress }: ReferenceOptions,
): Promise<{ optimum: Optimum; point: HeldOutPoint }> {
  const ids = prompts.map((prompt) => tokenizer.encode(prompt));
  const written = emptyGenerations(prompts.length * COPIES);
  const options = {
    numReturnSequences: COPIES,
    maxNewTokens: MOST_TOKENS,
    temperature: 1,
    seed: SEED + seed,
  };
  let tokens = 0;
  const writing = streamGeneration(model, ids, { ...options, signal, every: 8 });
  for await (const updates of turns.each(writing, asItWas)) {
    for (const update of updates) {
      addUpdate(written[update.sequence] as Generation, update);
      tokens += update.ids.length;
    }
    onProgress(tokens, written.length * MOST_TOKENS);
  }
  const promptOf = (i: number) => Math.floor(i / COPIES);
  const batch = {
    prompts: written.map((_, i) => prompts[promptOf(i)] as string),
    completions: written.map((story) => tokenizer.decode(story.ids)),
    promptIds: written.map((_, i) => ids[promptOf(i)] as number[]),
    completionIds: written.map(sampledTokens),
    tokenizer,
    columns: {},
    finished: written.map(({ finished }) => finished),
    step: undefined,
  };
  const { rewards } = await turns.run(() => rate([reward], batch, { timeout, signal }));
  const groups = prompts.map((_, p) =>
    rewards.slice(p * COPIES, (p + 1) * COPIES).filter((value) => value !== null),
  );
  return { optimum: optimumOf(groups, beta), point: startOf(groups, beta) };
}

/** β log Z for these specific prompts: its error is that of their stories, not the spread between prompts. */
function optimumOf(groups: readonly (readonly number[])[], beta: number): Optimum {
  const { logPartition, effectiveSamples } = estimateOptimum(groups, beta);
  const errors = groups.map((group) => estimateOptimum([group], beta).logPartition.standardError);
  const standardError = (beta * Math.hypot(...errors)) / groups.length;
  return { mean: beta * logPartition.mean, standardError, effectiveSamples };
}

/** The policy before its first step, which is the reference: every return is a reward. */
function startOf(groups: readonly (readonly number[])[], beta: number): HeldOutPoint {
  const { gap, optimum, effectiveSamples } = estimateGap(groups, beta);
  const reward = optimum.mean - gap.mean;
  return {
    step: 0,
    reward,
    kl: 0,
    objective: reward,
    gap: gap.mean,
    gapError: gap.standardError,
    optimum: optimum.mean,
    effectiveSamples,
  };
}
