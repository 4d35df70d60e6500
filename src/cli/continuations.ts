/**
 * Stories that a model writes from given openings, as text with their sentiment. Shared by the command that makes pairs from
 * them and the one that compares a model before and after training.
 */
import { type Tokenizer, textAfter } from 'webalign/data';
import { type CausalLM, type Generation, type GenerationOptions, generate } from 'webalign/models';
import { sentiment } from 'webalign/rollouts';

export interface Continuation extends Generation {
  /** Token ids of the opening. */
  prompt: number[];
  /** The continuation without the opening; begins with the space between the two. */
  text: string;
  /** Sum of the words' ratings. */
  sentiment: number;
}

/** `numReturnSequences` continuations of each opening, grouped by opening. */
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
    const prompt = prompts[Math.floor(i / copies)];
    const text = textAfter(tokenizer, prompt, generation.ids);
    return { ...generation, prompt, text, sentiment: sentiment(text) };
  });
}
