/**
 * Stories that a model writes to given openings, as text with their sentiment. Shared by the command that makes pairs of
 * them and the one that compares a model with itself before and after.
 */

import { sentiment } from '../data/sentiment.ts';
import type { TokenIds } from '../data/token-ids.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { type Generation, generate } from '../model/generation.ts';
import type { GenerationOptions } from '../model/generation-options.ts';

export interface Continuation extends Generation {
  /** Token ids of the opening. */
  prompt: number[];
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
  return written.map((generation, i) => {
    const prompt = prompts[Math.floor(i / copies)] as number[];
    const text = textAfter(tokenizer, prompt, generation.ids);
    return { ...generation, prompt, text, sentiment: sentiment(text) };
  });
}

/** The text of `ids` as it goes on from `prompt`: decoded together, because a first token may carry the space. */
export function textAfter(tokenizer: Tokenizer, prompt: TokenIds, ids: TokenIds): string {
  return tokenizer.decode([...prompt, ...ids]).slice(tokenizer.decode(prompt).length);
}
