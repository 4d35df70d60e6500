/**
 * How calm a text is: the second criterion of the embedded task, besides sentiment. Strong words and exclamation marks
 * count against it, by the same published list (AFINN-165). The two conflict, since most of the positive sentiment of a
 * child's story is in strong words (happy, love, fun, good: 3 or 4) while mild ones (play, friend, smile, help: 1 or 2) are
 * calm. Counts only words and marks: it does not understand the story.
 */
import { ratedWords } from './sentiment.ts';

/** Words with ratings beyond ± this value are strong. */
export const MILD = 2;

/** Minus the number of strong words and exclamation marks: at most 0. Like sentiment, not divided by the length. */
export function calm(text: string): number {
  const strong = ratedWords(text).filter(({ rating }) => Math.abs(rating) > MILD).length;
  const exclamations = text.match(/[!！]/gu)?.length ?? 0;
  return -(strong + exclamations) + 0;
}
