/**
 * Where a generated text can stop: at the end of a sentence. Looks at punctuation alone.
 */

/** A full stop, question or exclamation mark, with the quotes or brackets that it closes; then a space or the end. */
const SENTENCE_END = /[.!?]+["'”’)]*(?=\s|$)/gu;

/** `text` without what follows its last sentence end; undefined where there is none. */
export function wholeSentences(text: string): string | undefined {
  const last = [...text.matchAll(SENTENCE_END)].at(-1);
  return last && text.slice(0, last.index + last[0].length);
}
