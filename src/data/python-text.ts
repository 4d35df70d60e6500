/**
 * What Python does with text where JavaScript does something else. Templates and tokenizers are written against Python.
 */

export type StripSides = 'both' | 'start' | 'end';

/** Python's white space: without JavaScript's byte order mark, with the separators of ASCII and the sign for a next line. */
const SEPARATORS = '\x1c\x1d\x1e\x1f\x85';
const BYTE_ORDER_MARK = '\ufeff';

/** `str.strip`, `lstrip` or `rstrip`: without white space, or without any of `characters`, at the ends. */
export function pythonStrip(text: string, sides: StripSides, characters?: string): string {
  const isStripped = characters === undefined ? isPythonSpace : (one: string) => characters.includes(one);
  const points = [...text];
  let [start, end] = [0, points.length];
  if (sides !== 'end') while (start < end && isStripped(points[start] as string)) start++;
  if (sides !== 'start') while (end > start && isStripped(points[end - 1] as string)) end--;
  return points.slice(start, end).join('');
}

function isPythonSpace(one: string): boolean {
  return SEPARATORS.includes(one) || (one.trim() === '' && one !== BYTE_ORDER_MARK);
}

/** `str.splitlines`. */
export function pythonLines(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they end lines in Python
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** `str.split` by white space; at most `most` times where that is not negative, the rest as it stands. */
export function pythonWords(text: string, most = -1): string[] {
  const words: string[] = [];
  let at = 0;
  const space = (from: number) => isPythonSpace(text[from] as string);
  for (;;) {
    while (at < text.length && space(at)) at++;
    if (at >= text.length) return words;
    if (words.length === most) return [...words, text.slice(at)];
    const start = at;
    while (at < text.length && !space(at)) at++;
    words.push(text.slice(start, at));
  }
}
