/**
 * Python's text functions where JavaScript's differ. Templates and tokenizers are written for Python.
 */

export type StripSides = 'both' | 'start' | 'end';

/**
 * Python's white space that JavaScript lacks: ASCII separators and the next-line character. It excludes JavaScript's byte
 * order mark.
 */
const SEPARATORS = '\x1c\x1d\x1e\x1f\x85';
const BYTE_ORDER_MARK = '\ufeff';

/** `str.strip`, `lstrip` or `rstrip`: removes white space, or any of `characters`, at the ends. */
export function pythonStrip(text: string, sides: StripSides, characters?: string): string {
  const taken = characters === undefined ? undefined : new Set(characters);
  const isStripped = (one: string) => (taken ? taken.has(one) : isPythonSpace(one));
  let [start, end] = [0, text.length];
  if (sides !== 'end')
    for (let one = firstOf(text, start); start < end && isStripped(one); one = firstOf(text, start))
      start += one.length;
  if (sides !== 'start')
    for (let one = lastOf(text, end); end > start && isStripped(one); one = lastOf(text, end))
      end -= one.length;
  return text.slice(start, end);
}

/** The character that begins at `start`, both halves of a surrogate pair. */
function firstOf(text: string, start: number): string {
  const point = text.codePointAt(start);
  return point === undefined ? '' : String.fromCodePoint(point);
}

/** The character that ends at `end`. */
function lastOf(text: string, end: number): string {
  const pair = firstOf(text, end - 2);
  return end >= 2 && pair.length === 2 ? pair : text.slice(end - 1, end);
}

/** `text[index]` by code point; a negative index counts from the end. */
export function characterAt(text: string, index: number): string | undefined {
  if (index >= 0) {
    for (const one of text) if (index-- === 0) return one;
    return undefined;
  }
  for (let end = text.length; end > 0; ) {
    const one = lastOf(text, end);
    if (++index === 0) return one;
    end -= one.length;
  }
  return undefined;
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

/** `str.split` at white space; at most `most` splits unless it is negative, with the rest unchanged. */
export function pythonWords(text: string, most = -1): string[] {
  const words: string[] = [];
  let at = 0;
  const space = (from: number) => isPythonSpace(text[from]);
  for (;;) {
    while (at < text.length && space(at)) at++;
    if (at >= text.length) return words;
    if (words.length === most) return [...words, text.slice(at)];
    const start = at;
    while (at < text.length && !space(at)) at++;
    words.push(text.slice(start, at));
  }
}

const DIGIT = /\p{Nd}/u;

/** Replaces the decimals of all scripts by 0 to 9; each script has them in order of their values. */
export function asciiDigits(text: string): string {
  return text.replace(/(?![0-9])\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0)!;
    let first = code;
    while (DIGIT.test(String.fromCodePoint(first - 1))) first--;
    return String((code - first) % 10);
  });
}
