/**
 * Steps of the library's tokenizer in faster forms that give the same. A data set has the same words again and again: what is made of
 * a word is remembered, where the library computes it again or keeps its words in the order of their use.
 */
import type { Step } from './tokenizer-growth.ts';

/** Words that are remembered, and the longest of them in characters. A full memory is emptied. */
const MOST_WORDS = 2 ** 16;
const LONGEST_WORD = 64;

/** What of the library's BPE is used here; other models have no `bpe`. */
interface Model {
  bpe?: unknown;
  /** Tokens of words, each of which is cut by itself. */
  encode(words: string[]): string[];
}

/** Of the library's `ByteLevel`, which writes each byte as a letter. */
interface ByteLevelStep extends Step {
  use_regex?: boolean;
  add_prefix_space?: boolean;
  pre_tokenize?(text: string | string[], ...more: unknown[]): string[];
}

/** Replaces what is slow in a tokenizer's steps, in place; after they are bounded. */
export function quicken(preTokenizer: Step | null, model: Model): void {
  if (model.bpe) {
    const encode = model.encode.bind(model);
    const tokensOf = remembered((word) => encode([word]));
    model.encode = (words) => {
      const tokens: string[] = [];
      for (const word of words) for (const token of tokensOf(word)) tokens.push(token);
      return tokens;
    };
  }
  if (preTokenizer) quickenSteps(preTokenizer);
}

function quickenSteps(step: ByteLevelStep): void {
  for (const inner of step.tokenizers ?? []) quickenSteps(inner);
  const { pre_tokenize_text: slow } = step;
  // With these the step does more than write a word's bytes; `tokenizer-corrections.ts` makes steps of their own of them.
  if (step.config?.type !== 'ByteLevel' || step.use_regex !== false || step.add_prefix_space || !slow) return;
  const lettersOf = remembered((word) => slow(word)[0] ?? '');
  step.pre_tokenize = (text) => (typeof text === 'string' ? [lettersOf(text)] : text.map(lettersOf));
}

/** The same function with a memory of short words. */
function remembered<Value>(make: (word: string) => Value): (word: string) => Value {
  const known = new Map<string, Value>();
  return (word) => {
    const before = known.get(word);
    if (before !== undefined) return before;
    const made = make(word);
    if (word.length > LONGEST_WORD) return made;
    if (known.size >= MOST_WORDS) known.clear();
    known.set(word, made);
    return made;
  };
}
