/**
 * Finds where a generated text can stop: at the end of a sentence. Only looks at punctuation.
 */

/** A full stop, question or exclamation mark, with closing quotes or brackets; then a space or the end. */
const SENTENCE_END = /[.!?]+["'”’)]*(?=\s|$)/gu;

/** `text` up to its last sentence end; undefined if it has none. */
export function wholeSentences(text: string): string | undefined {
  const last = [...text.matchAll(SENTENCE_END)].at(-1);
  return last && text.slice(0, last.index + last[0].length);
}
