/**
 * Estimates the best possible objective: completions of the reference for the held-out prompts, weighted by e^(r/β) as in
 * Theorem 1. They also give the policy's values before its first step, because it is then the reference.
 */
import type { Tokenizer } from 'webalign';
import type { Around } from 'webalign/gpu';
import { addUpdate, emptyGenerations, sampledTokens, streamGeneration } from 'webalign/models';
import { type RewardBatch, rate, type WeighedReward } from 'webalign/rollouts';
import { estimateGap, estimateOptimum } from 'webalign/theory';
import type { Host, Trains } from './host.ts';
import { COPIES, type HeldOutPoint, type Optimum } from './policy-run.ts';

/** Offset of the seed: the completions use other random numbers than training and evaluations. */
const SEED = 2 ** 30;

export interface ReferenceOptions {
  /** Held-out prompts, and the tokens that their completions follow. */
  prompts: RewardBatch['prompts'];
  ids: readonly (readonly number[])[];
  /** Completions of each prompt; {@link COPIES} unless given. */
  copies?: number;
  reward: WeighedReward;
  beta: number;
  seed: number;
  /** Tokens of a completion. */
  maxNewTokens: number;
  /** Puts the model into the state of the reference. */
  around: Around;
  /** Maximum seconds for the reward. */
  timeout: number;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

type Machine = Pick<Host<Trains>, 'model' | 'turns'> & { tokenizer: Tokenizer };

/** Generates and rates the completions. Rejects with the signal's reason, and like `rate`. */
export async function drawReference(
  { model, tokenizer, turns }: Machine,
  options: ReferenceOptions,
): Promise<{ optimum: Optimum; point: HeldOutPoint }> {
  const { prompts, ids, copies = COPIES, reward, beta, seed, maxNewTokens } = options;
  const { around, timeout, signal, onProgress } = options;
  const written = emptyGenerations(prompts.length * copies);
  const sampling = { numReturnSequences: copies, maxNewTokens, temperature: 1, seed: SEED + seed };
  let tokens = 0;
  const writing = streamGeneration(model, ids, { ...sampling, signal, every: 8 });
  for await (const updates of turns.each(writing, around)) {
    for (const update of updates) {
      addUpdate(written[update.sequence], update);
      tokens += update.ids.length;
    }
    onProgress(tokens, written.length * maxNewTokens);
  }
  const promptOf = (i: number) => Math.floor(i / copies);
  const batch = {
    prompts: written.map((_, i) => prompts[promptOf(i)]),
    completions: written.map((each, i) => textOf(prompts[promptOf(i)], tokenizer.decode(each.ids))),
    promptIds: written.map((_, i) => ids[promptOf(i)]),
    completionIds: written.map(sampledTokens),
    tokenizer,
    columns: {},
    finished: written.map(({ finished }) => finished),
    step: undefined,
  };
  const { rewards } = await turns.run(() => rate([reward], batch, { timeout, signal }));
  const groups = prompts.map((_, p) =>
    rewards.slice(p * copies, (p + 1) * copies).filter((value) => value !== null),
  );
  return { optimum: optimumOf(groups, beta), point: startOf(groups, beta) };
}

/** A completion in the form of its prompt, as rewards expect it. */
const textOf = (prompt: RewardBatch['prompts'][number] | undefined, content: string) =>
  typeof prompt === 'string' ? content : [{ role: 'assistant', content }];

/** β log Z for these specific prompts: its error is that of their completions, not the spread between prompts. */
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
