/**
 * Faster, equivalent forms of steps of the library's tokenizer. A data set repeats the same words, so the result for a word
 * is cached; the library recomputes it or uses a slower LRU cache.
 */
import type { Step } from './tokenizer-growth.ts';

/** Maximum number of cached words, and their maximum length in characters. A full cache is cleared. */
const MOST_WORDS = 2 ** 16;
const LONGEST_WORD = 64;

/** The parts of the library's BPE that are used here; other models have no `bpe`. */
interface Model {
  bpe?: unknown;
  /** Tokens of words, each of which is encoded separately. */
  encode(words: string[]): string[];
}

/** The library's `ByteLevel`, which writes each byte as a letter. */
interface ByteLevelStep extends Step {
  use_regex?: boolean;
  add_prefix_space?: boolean;
  pre_tokenize?(text: string | string[], ...more: unknown[]): string[];
}

/** Replaces the slow steps of a tokenizer, in place; call it after the growth limits are installed. */
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
  // With these options the step does more than write a word's bytes; `tokenizer-corrections.ts` turns them into separate
  // steps.
  if (step.config?.type !== 'ByteLevel' || step.use_regex !== false || step.add_prefix_space || !slow) return;
  const lettersOf = remembered((word) => slow(word)[0] ?? '');
  step.pre_tokenize = (text) => (typeof text === 'string' ? [lettersOf(text)] : text.map(lettersOf));
}

/** The same function with a cache for short words. */
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
