/**
 * Pairs of a model's own continuations: the most positive and the most negative for each opening, if they differ enough.
 * Both texts are the model's own; only their order is new to it.
 */
import { type Tokenizer, wholeSentences } from 'webalign/data';
import type { GenerationOptions } from 'webalign/models';
import { sentiment } from 'webalign/rollouts';
import { type Continuation, continueOpenings } from '../../cli/continuations.ts';
import type { OpenModel } from '../../cli/open.ts';

/** Number of openings that are continued at a time. */
const AT_A_TIME = 50;

export interface Pair {
  prompt: string;
  chosen: string;
  rejected: string;
}

export interface PairOptions extends GenerationOptions {
  seed: number;
  /** Continuations per opening. */
  numReturnSequences: number;
  /** Minimum difference in sentiment. */
  margin: number;
}

/**
 * The pairs from each group of openings, and the number of its openings. Every group uses different random numbers, so the
 * pairs of the first openings do not depend on how many follow.
 */
export async function* makePairs(
  { model, tokenizer }: OpenModel,
  openings: readonly string[],
  { margin, ...options }: PairOptions,
): AsyncGenerator<{ pairs: Pair[]; tried: number }> {
  for (let start = 0; start < openings.length; start += AT_A_TIME) {
    const some = openings.slice(start, start + AT_A_TIME);
    const seed = options.seed + 2 ** 32 * start;
    const written = await continueOpenings(model, tokenizer, some, { ...options, seed });
    const pairs = some.map((prompt, i) => {
      const own = written.slice(i * options.numReturnSequences, (i + 1) * options.numReturnSequences);
      return bestAndWorst(prompt, own, margin, tokenizer);
    });
    yield { pairs: pairs.filter((pair) => pair !== undefined), tried: start + some.length };
  }
}

/** The two continuations with the largest difference, cut at a sentence; undefined if they differ by less than `margin`. */
function bestAndWorst(
  prompt: string,
  written: readonly Continuation[],
  margin: number,
  tokenizer: Tokenizer,
): Pair | undefined {
  const candidates = written
    .map(({ text }) => wholeSentences(text))
    .filter((text) => text !== undefined && tokenizesApart(prompt, text, tokenizer))
    .map((text) => ({ text: text!, value: sentiment(text!) }))
    .sort((a, b) => b.value - a.value);
  const [best, worst] = [candidates.at(0), candidates.at(-1)];
  if (!best || !worst || best.value - worst.value < margin) return undefined;
  return { prompt, chosen: best.text, rejected: worst.text };
}

/** Whether the tokens of prompt and completion begin with the prompt's own tokens, and decode to the same text. */
function tokenizesApart(prompt: string, completion: string, tokenizer: Tokenizer): boolean {
  const alone = tokenizer.encode(prompt);
  const whole = tokenizer.encode(prompt + completion);
  return (
    whole.length > alone.length &&
    alone.every((id, i) => whole[i] === id) &&
    tokenizer.decode(whole) === tokenizer.decode(alone) + completion
  );
}
