/**
 * Best of n: of every prompt n completions are drawn, and the one of highest reward is kept. The simplest use of a reward: no
 * training, and a policy at most log n − (n − 1)/n nats from the model. Its texts are data for supervised fine-tuning too.
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
  /** What completions are rated by; several add up by `rewardWeights`. */
  rewardFuncs: Reward | readonly Reward[];
  rewardWeights?: readonly number[] | null | undefined;
  /** Completions of each prompt. */
  n: number;
  /** Most new tokens of a completion. */
  maxCompletionLength: number;
  /** Default 1. */
  temperature?: number | undefined;
  /** Default 42. */
  seed?: number | undefined;
  /** Seconds that a reward function may take for a batch, default 600. */
  rewardTimeout?: number | undefined;
  /** Prompts whose completions are written at a time, default 8. */
  promptsAtATime?: number | undefined;
  /** Stops with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Hears of tokens as they are written: all so far. */
  onTokens?: ((tokens: number) => void) | undefined;
}

/** A prompt with the best of its completions. */
export interface BestCompletion {
  row: PromptRow;
  completion: Samples['completions'][number];
  reward: number;
  /** Of all n, in the order in which they were drawn; null where nothing rated one. */
  rewards: (number | null)[];
}

/**
 * The prompts in their order, each as soon as it is known; one of whose completions none is rated is left out. The first of
 * equals is the best. Throws {@link InputError} for what makes no sense, by the row, and where a reward is at fault.
 */
export async function* bestOfN(options: BestOfNOptions): AsyncGenerator<BestCompletion> {
  const { model, processingClass: tokenizer, prompts: rows, n, maxCompletionLength, signal } = options;
  const { temperature = 1, seed = 42, rewardTimeout = 600, promptsAtATime = 8, onTokens } = options;
  if (!(Number.isSafeInteger(n) && n >= 1))
    throw new InputError('best of n', say`${setting('n')} is ${n}`, 'Give a whole number from 1');
  if (!(Number.isSafeInteger(promptsAtATime) && promptsAtATime >= 1))
    throw new InputError('best of n', `promptsAtATime is ${promptsAtATime}`, 'Give a whole number from 1');
  if (rows.length === 0) throw new InputError('prompts', 'there are none', 'Give at least one');
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
      const completion = samples.completions[p * n + best] as BestCompletion['completion'];
      yield { row, completion, reward: own[best] as number, rewards: own };
    }
  }
}

/** The first of the highest; undefined where there is no number. */
function indexOfBest(rewards: readonly (number | null)[]): number | undefined {
  const rated = rewards.flatMap((reward, i) => (reward === null ? [] : [{ reward, i }]));
  return rated.reduce<{ reward: number; i: number } | undefined>(
    (best, each) => (best === undefined || each.reward > best.reward ? each : best),
    undefined,
  )?.i;
}
