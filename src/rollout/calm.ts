/**
 * How calm a text is: the second criterion of the embedded task, beside sentiment. Strong words and exclamation marks
 * count against it, by the same published list (AFINN-165). The two pull apart, since most of the gladness of a
 * child's story is in strong words (happy, love, fun, good: 3 or 4) while mild ones (play, friend, smile, help: 1 or 2)
 * are calm. Words and marks alone: it knows nothing of what is told.
 */
import { ratedWords } from './sentiment.ts';

/** Ratings beyond ± this are strong. */
export const MILD = 2;

/** Minus the number of strong words and exclamation marks: 0 at most. Not divided by the length, as sentiment is not. */
export function calm(text: string): number {
  const strong = ratedWords(text).filter(({ rating }) => Math.abs(rating) > MILD).length;
  const exclamations = text.match(/[!！]/gu)?.length ?? 0;
  return -(strong + exclamations) + 0;
}
