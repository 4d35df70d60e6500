/**
 * Best of n: samples n completions of every prompt and keeps the one with the highest reward. This is the simplest use of a
 * reward: no training, and a policy at most log n − (n − 1)/n nats from the model. The texts are also data for supervised
 * fine-tuning.
 */
import { say, setting } from '../base/sentence.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { rateSamples } from './earnings.ts';
import { type Reward, weighedRewards } from './rewards.ts';
import { type Samples, sampleCompletions, tokenizePrompts } from './sampling.ts';

export interface BestOfNOptions {
  model: CausalLM;
  /** The model's tokenizer. */
  processingClass: Tokenizer;
  prompts: readonly PromptRow[];
  /** The reward functions; several are summed with `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
  rewardWeights?: readonly number[] | null | undefined;
  /** Completions per prompt. */
  n: number;
  /** Maximum new tokens of a completion. */
  maxCompletionLength: number;
  /** Default: 1. */
  temperature?: number | undefined;
  /** Default: 42. */
  seed?: number | undefined;
  /** Maximum seconds of a reward function for a batch; default: 600. */
  rewardTimeout?: number | undefined;
  /** Number of prompts processed at a time; default: 8. */
  promptsAtATime?: number | undefined;
  /** Aborts with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Reports the total number of tokens generated so far. */
  onTokens?: ((tokens: number) => void) | undefined;
}

/** A prompt with its best completion. */
export interface BestCompletion {
  row: PromptRow;
  completion: Samples['completions'][number];
  reward: number;
  /** Of all n completions, in sampling order; null for an unrated one. */
  rewards: (number | null)[];
}

/**
 * The prompts in order, each as soon as it is done; a prompt without a rated completion is omitted. The first of equal
 * rewards wins. Throws {@link InputError} for invalid options, with the row, and for a faulty reward.
 */
export async function* bestOfN(options: BestOfNOptions): AsyncGenerator<BestCompletion> {
  const { model, processingClass: tokenizer, prompts: rows, n, maxCompletionLength, signal } = options;
  const { temperature = 1, seed = 42, rewardTimeout = 600, promptsAtATime = 8, onTokens } = options;
  if (!(Number.isSafeInteger(n) && n >= 1))
    throw new InputError('best of n', say`${setting('n')} is ${n}`, 'Give a whole number from 1');
  if (!(Number.isSafeInteger(promptsAtATime) && promptsAtATime >= 1))
    throw new InputError('best of n', `promptsAtATime is ${promptsAtATime}`, 'Give a whole number from 1');
  if (rows.length === 0) throw new InputError('prompts', 'the list is empty', 'Give at least one prompt');
  const rewards = weighedRewards([options.rewardFuncs].flat(), options.rewardWeights);
  const prompts = tokenizePrompts(rows, tokenizer, model, maxCompletionLength);
  let before = 0;
  for (let start = 0; start < prompts.length; start += promptsAtATime) {
    const some = prompts.slice(start, start + promptsAtATime);
    const drawing = { numGenerations: n, maxCompletionLength, temperature, seed: seed + start };
    const writing = sampleCompletions(model, tokenizer, some, drawing, signal);
    let samples: Samples | undefined;
    let written = 0;
    for (;;) {
      const next = await writing.next();
      if (next.done) {
        samples = next.value;
        break;
      }
      written = next.value;
      onTokens?.(before + written);
    }
    before += written;
    if (!samples) throw signal?.reason;
    const rated = await rateSamples(samples, rewards, { rewardTimeout, step: undefined, signal });
    for (const [p, { row }] of some.entries()) {
      const own = rated.rewards.slice(p * n, (p + 1) * n);
      const best = indexOfBest(own);
      if (best === undefined) continue;
      const completion = samples.completions[p * n + best];
      yield { row, completion, reward: own[best]!, rewards: own };
    }
  }
}

/** The index of the first maximum; undefined if there is no number. */
function indexOfBest(rewards: readonly (number | null)[]): number | undefined {
  const rated = rewards.flatMap((reward, i) => (reward === null ? [] : [{ reward, i }]));
  return rated.reduce<{ reward: number; i: number } | undefined>(
    (best, each) => (best === undefined || each.reward > best.reward ? each : best),
    undefined,
  )?.i;
}
