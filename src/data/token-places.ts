/**
 * Positions of tokens in their text, which the JavaScript tokenizers do not report: recovered from the text of each token.
 * A character belongs to the first token that contains a part of it, like `char_to_token` of the tokenizers library; for
 * white space that is in no token, the neighboring tokens count.
 */
import type { AddedToken } from './added-tokens.ts';

export interface TokenizedText {
  text: string;
  /** In the vocabulary's spelling. */
  tokens: readonly string[];
  /** Whether the vocabulary represents bytes as letters (GPT-2). */
  isByteLevel: boolean;
  /** Added tokens by their text, which is spelled literally. */
  added: ReadonlyMap<string, Pick<AddedToken, 'lstrip' | 'rstrip'>>;
  normalize: (text: string) => string;
}

type Span = readonly [start: number, end: number];

/**
 * For each token, whether it overlaps one of the spans, which are ranges in `text`. Returns undefined if the tokens cannot
 * be located, because the tokenizer changes texts too much or its letters are unknown.
 */
export function tokensWithin(spans: readonly Span[], given: TokenizedText): boolean[] | undefined {
  const { text, normalize } = given;
  const asWritten = placesIn(text, given);
  if (asWritten) return marked(asWritten, spans.map(bytesOf(text)));
  const normal = normalize(text);
  const places = placesIn(normal, given);
  const moved = spans.map(([start, end]) => [normalize(text.slice(0, start)), normalize(text.slice(0, end))]);
  if (!places || !moved.flat().every((part) => normal.startsWith(part))) return undefined;
  const lengths = moved.map(([start = '', end = '']): Span => [start.length, end.length]);
  return marked(places, lengths.map(bytesOf(normal)));
}

const utf8 = (text: string) => new TextEncoder().encode(text);
/** The byte offsets of the first and the last character of a part of the text; none for an empty part. */
const bytesOf =
  (text: string) =>
  ([start, end]: Span): Span | undefined => {
    const last = [...text.slice(start, end)].at(-1);
    return last === undefined
      ? undefined
      : [utf8(text.slice(0, start)).length, utf8(text.slice(0, end - last.length)).length];
  };

function marked(places: readonly Span[], spans: readonly (Span | undefined)[]): boolean[] {
  const mask = places.map(() => false);
  for (const [from, to] of spans.filter((span) => span !== undefined)) {
    const first = places.findIndex(([, end]) => end > from);
    const last = places.findIndex(([, end]) => end > to);
    // After the last token, or before a token that begins later, there is only white space.
    const isBetween = last < 0 || places[last][0] > to;
    if (first >= 0) mask.fill(true, first, (last < 0 ? places.length : last) + (isBetween ? 0 : 1));
  }
  return mask;
}

/** The byte range [from, to) of each token in the text. */
function placesIn(text: string, { tokens, isByteLevel, added }: TokenizedText): Span[] | undefined {
  const bytes = utf8(text);
  const places: Span[] = [];
  let done = 0;
  for (const token of tokens) {
    const special = added.get(token);
    const wanted = spelled(token, isByteLevel, special !== undefined);
    let start = done;
    let end = endOf(wanted, bytes, start);
    while (end === undefined && start < bytes.length) {
      const space = spaceAt(bytes, start);
      if (space === 0) return undefined;
      start += space;
      end = endOf(wanted, bytes, start);
    }
    if (end === undefined) return undefined;
    while (special?.rstrip && spaceAt(bytes, end) > 0) end += spaceAt(bytes, end);
    places.push([special?.lstrip ? done : start, end]);
    done = end;
  }
  return places;
}

const BYTE = /^<0x([0-9A-F]{2})>$/;
/** Represents a space, or itself. */
const LOW_LINE = utf8('▁');
const SPACE = 0x20;

function spelled(token: string, isByteLevel: boolean, isAdded: boolean): Uint8Array {
  const byte = BYTE.exec(token)?.[1];
  if (!isByteLevel && byte !== undefined && !isAdded) return Uint8Array.of(Number.parseInt(byte, 16));
  if (!isByteLevel || isAdded) return utf8(token);
  return Uint8Array.from([...token].flatMap((letter) => LETTERS.get(letter) ?? [...utf8(letter)]));
}

/** The end of the token that begins at `at`. It may begin with a space that the tokenizer added before the text. */
function endOf(token: Uint8Array, text: Uint8Array, at: number): number | undefined {
  const whole = matched(token, text, at);
  if (whole !== undefined) return whole;
  const lead = token[0] === SPACE ? 1 : startsLow(token, 0) ? LOW_LINE.length : 0;
  return lead > 0 ? matched(token.subarray(lead), text, at) : undefined;
}

function matched(token: Uint8Array, text: Uint8Array, from: number): number | undefined {
  let at = from;
  for (let i = 0; i < token.length; i++) {
    if (text[at] === token[i]) at++;
    else if (text[at] === SPACE && startsLow(token, i)) {
      at++;
      i += LOW_LINE.length - 1;
    } else return undefined;
  }
  return at;
}

const startsLow = (token: Uint8Array, at: number) => LOW_LINE.every((byte, i) => token[at + i] === byte);

/** Number of bytes of the white space at `at`; 0 if there is none. */
function spaceAt(bytes: Uint8Array, at: number): number {
  const length = [1, 2, 3].find((count) => ((bytes[at + count] ?? 0) & 0xc0) !== 0x80) ?? 4;
  return /^\p{White_Space}$/u.test(new TextDecoder().decode(bytes.subarray(at, at + length))) ? length : 0;
}

/** The letters with which GPT-2's vocabulary writes bytes: printable ones are themselves, the others follow U+0100 in order. */
const LETTERS: ReadonlyMap<string, number> = new Map(byteLetters());

function* byteLetters(): Generator<[string, number]> {
  let next = 0x100;
  for (let byte = 0; byte < 0x100; byte++) {
    const isPrinted = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    yield [String.fromCodePoint(isPrinted ? byte : next++), byte];
  }
}
