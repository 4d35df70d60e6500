/**
 * Pairs for a trainer, whether they come as rows of text or as token ids: tokenised with the model's own tokenizer and
 * held against what the model can take. Wrong ones are refused by number before anything reaches the device.
 */
import type { TokenizedPair } from '../data/packing.ts';
import type { PreferenceRow } from '../data/preference-dataset.ts';
import { tokenizePairs } from '../data/tokenize-pairs.ts';
import { requireTokenIds, requireVocabulary, type Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { CausalLM } from '../model/causal-lm.ts';

/** Rows as read, or token ids. */
export type PairDataset = readonly PreferenceRow[] | readonly TokenizedPair[];

/** The pairs, and what a person should know about them, a line each. Throws {@link InputError}. */
export function preparePairs(
  dataset: PairDataset,
  model: CausalLM,
  tokenizer: Tokenizer | undefined,
  maxLength: number,
): { pairs: readonly TokenizedPair[]; notices: string[] } {
  const { maxPositionEmbeddings, vocabSize } = model.config;
  if (isTokenized(dataset)) {
    for (const [i, pair] of dataset.entries()) checkPair(pair, model, `pair ${i + 1}`);
    return { pairs: dataset, notices: [] };
  }
  if (!tokenizer) {
    throw new InputError('training data', 'is text, and no tokenizer was given', 'Give a processingClass');
  }
  requireVocabulary(tokenizer, vocabSize);
  return tokenizePairs(dataset, tokenizer, { maxLength: Math.min(maxLength, maxPositionEmbeddings) });
}

function isTokenized(dataset: PairDataset): dataset is readonly TokenizedPair[] {
  return dataset.every(({ prompt }) => Array.isArray(prompt) && typeof prompt[0] === 'number');
}

/** Ids that the model has no row for would read past the end of its embedding. */
function checkPair(
  { prompt, chosen, rejected }: TokenizedPair,
  { config, name }: CausalLM,
  where: string,
): void {
  for (const ids of [prompt, chosen, rejected]) requireTokenIds(ids, config.vocabSize, where);
  const longest = prompt.length + Math.max(chosen.length, rejected.length);
  if (longest > config.maxPositionEmbeddings) {
    const what = `has ${longest} tokens, ${name} has positions for ${config.maxPositionEmbeddings}`;
    throw new InputError(where, what, 'Shorten it');
  }
}
