/**
 * Stories that a model writes to given openings, as text with their sentiment. Shared by the command that makes pairs of
 * them and the one that compares a model with itself before and after.
 */
import { sentiment } from '../data/sentiment.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { type GenerationOptions, generate } from '../model/generation.ts';

export interface Continuation {
  /** Token ids of the opening, and those that were written, without the one that ends a text. */
  prompt: number[];
  ids: number[];
  finished: 'eos' | 'length';
  /** What was written, without the opening; begins with the space between the two. */
  text: string;
  /** Sum of the words' ratings. */
  sentiment: number;
}

/** `numReturnSequences` continuations of each opening, one opening after the other. */
export async function continueOpenings(
  model: CausalLM,
  tokenizer: Tokenizer,
  openings: readonly string[],
  options: GenerationOptions,
): Promise<Continuation[]> {
  const prompts = openings.map((opening) => tokenizer.encode(opening));
  const copies = options.numReturnSequences ?? 1;
  const written = await generate(model, prompts, options);
  return written.map(({ ids, finished }, i) => {
    const prompt = prompts[Math.floor(i / copies)] as number[];
    const text = textAfter(tokenizer, prompt, ids);
    return { prompt, ids, finished, text, sentiment: sentiment(text) };
  });
}

/** The text of `ids` as it goes on from `prompt`: decoded together, because a first token may carry the space. */
export function textAfter(tokenizer: Tokenizer, prompt: readonly number[], ids: readonly number[]): string {
  return tokenizer.decode([...prompt, ...ids]).slice(tokenizer.decode(prompt).length);
}
