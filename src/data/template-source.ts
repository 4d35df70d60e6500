/**
 * Parses a chat template into a tree. Hugging Face's parser builds the tree; this file first processes line ends, white
 * space around tags, strings and numbers like Jinja's lexer with the settings of transformers (`trim_blocks`,
 * `lstrip_blocks`).
 */
import { parse, tokenize } from '@huggingface/jinja';
import { own } from '../base/lookup.ts';
import { pythonStrip } from './python-text.ts';
import { unescaped } from './template-strings.ts';
import { readable } from './template-tokens.ts';

type Token = ReturnType<typeof tokenize>[number];
export type Program = ReturnType<typeof parse>;

/** The bracket in which each comparison operator occurs: `a < b < c` is a chain, `(a < b) < c` is not. */
export const CHAINS = new WeakMap<object, number>();

/** The function that `{% generation %}` calls. Templates cannot contain such a name. */
export const GENERATION = 'generation block';
const GENERATION_TAGS: Readonly<Record<string, string>> = {
  generation: 'call generation()',
  endgeneration: 'endcall',
};
/** Tags of calls, by their end tags. */
const CALL_ENDS: Readonly<Record<string, string>> = {
  call: 'endcall',
  generation: 'endgeneration',
  with: 'endwith',
};

const TAG = /\{[{%#]/g;
const CLOSING: Readonly<Record<string, string>> = { '{{': '}}', '{%': '%}', '{#': '#}' };
const RAW = /\{%[-+]?\s*raw\s*(-?)%\}/y;
const END_OF_RAW = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
/** A part of an expression: white space, a string, a number, a name, an operator. */
const PART =
  /(?<space>\s+)|(?<string>'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*")|(?<number>(?<!\.)\d+(?:_\d+)*(?:\.\d+(?:_\d+)*(?:e[+-]?\d+(?:_\d+)*)?|e[+-]?\d+(?:_\d+)*)|0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|\d+(?:_\d+)*)|(?<word>\w+)|(?<operator>\*\*|\/\/|[=!<>]=|[\s\S])/iuy;
const OPENING = '([{';
const QUOTES = `'"`;
const CLOSED_BY: ReadonlyMap<string, string> = new Map([
  [')', '('],
  [']', '['],
  ['}', '{'],
]);

/** Parses the source; throws an `Error` if Jinja would reject it. */
export function parseTemplate(source: string): Program {
  return parse([...new Lexer(source).tokens()]);
}

class Lexer {
  private readonly source: string;
  private at = 0;
  /** Whether the text that comes next begins a line, for `lstrip_blocks`. */
  private startsLine = true;
  /** The expected end tags of the open calls. */
  private readonly calls: string[] = [];

  constructor(source: string) {
    const lines = source.replace(/\r\n?/g, '\n');
    this.source = lines.endsWith('\n') ? lines.slice(0, -1) : lines;
  }

  *tokens(): Generator<Token> {
    while (this.at < this.source.length) {
      TAG.lastIndex = this.at;
      const found = TAG.exec(this.source);
      const end = found?.index ?? this.source.length;
      const text = this.source.slice(this.at, end);
      this.at = end;
      if (!found) return yield* asText(text);
      const opening = found[0];
      const sign = signOf(this.source[end + 2]);
      yield* asText(this.stripped(text, sign, opening !== '{{'));
      const raw = opening === '{%' ? this.raw() : undefined;
      if (raw !== undefined) yield* asText(raw);
      else {
        this.at += 2 + sign.length;
        if (opening === '{#') this.comment();
        else yield* this.tag(opening);
      }
    }
  }

  /** The text before a tag, with white space removed as its sign requires. */
  private stripped(text: string, sign: string, isBlock: boolean): string {
    if (sign === '-') return pythonStrip(text, 'end');
    const line = text.lastIndexOf('\n') + 1;
    if (sign === '+' || !isBlock || !(line > 0 || this.startsLine)) return text;
    return pythonStrip(text.slice(line), 'both') === '' ? text.slice(0, line) : text;
  }

  private raw(): string | undefined {
    RAW.lastIndex = this.at;
    const found = RAW.exec(this.source);
    if (!found) return undefined;
    this.at = RAW.lastIndex;
    if (found[1]) this.skipSpace();
    END_OF_RAW.lastIndex = this.at;
    const end = END_OF_RAW.exec(this.source);
    if (!end) throw new Error('{% raw %} is not closed');
    const [tag, before = '', after = ''] = end;
    const text = this.stripped(this.source.slice(this.at, end.index), before, true);
    this.at = end.index + tag.length;
    this.close(after, true);
    return text;
  }

  private comment(): void {
    const end = this.source.indexOf('#}', this.at);
    if (end < 0) throw new Error('a comment is not closed');
    const sign = end > this.at ? signOf(this.source[end - 1]) : '';
    this.at = end + 2;
    this.close(sign, true);
  }

  /** After a tag: `-` removes white space, and a block removes one line end. */
  private close(sign: string, isBlock: boolean): void {
    const from = this.at;
    if (sign === '-') this.skipSpace();
    else if (sign === '' && isBlock && this.source[this.at] === '\n') this.at++;
    this.startsLine = this.at > from && this.source[this.at - 1] === '\n';
  }

  private skipSpace(): void {
    while (this.at < this.source.length && pythonStrip(this.source[this.at], 'both') === '') this.at++;
  }

  /** The library's tokens of a tag, with the values of its strings and numbers. */
  private *tag(opening: string): Generator<Token> {
    const closing = own(CLOSING, opening)!;
    const parts: string[] = [];
    const [strings, numbers]: [string[], string[]] = [[], []];
    const open: string[] = [];
    for (;;) {
      const sign = signOf(this.source[this.at]);
      if (open.length === 0 && this.source.startsWith(closing, this.at + sign.length)) {
        if (sign === '+' && closing === '}}') throw new Error('an expression cannot end with "+}}"');
        this.at += sign.length + 2;
        this.close(sign, closing === '%}');
        break;
      }
      const { string, number, word, operator } = this.part();
      if (string !== undefined) {
        strings.push(unescaped(string.slice(1, -1)));
        parts.push("'s'");
      } else if (number !== undefined) {
        numbers.push(numberToken(number));
        parts.push('1');
      } else if (operator !== undefined) {
        // Otherwise the search for its end would be repeated from each later quote.
        if (QUOTES.includes(operator)) throw new Error('a string is not closed');
        if (OPENING.includes(operator)) open.push(operator);
        const partner = CLOSED_BY.get(operator);
        if (partner !== undefined && open.pop() !== partner) throw new Error(`unexpected "${operator}"`);
        parts.push(operator);
      } else if (word !== undefined) parts.push(word);
    }
    const written = parts.join(' ');
    const marker = opening === '{%' ? own(GENERATION_TAGS, written) : undefined;
    if (opening === '{%') this.pairCalls(parts[0] ?? '');
    const tokens = tokenize(`${opening} ${marker ?? written} ${closing}`);
    const [nextString, nextNumber] = [strings.values(), numbers.values()];
    for (const token of tokens) {
      if (marker && token.value === 'generation') token.value = GENERATION;
      if (token.type === 'StringLiteral') token.value = nextString.next().value!;
      if (token.type === 'NumericLiteral') token.value = nextNumber.next().value!;
    }
    const read = readable(tokens);
    markChains(read);
    yield* read;
  }

  private pairCalls(tag: string): void {
    const end = own(CALL_ENDS, tag);
    if (end !== undefined) this.calls.push(end);
    else if (Object.values(CALL_ENDS).includes(tag) && this.calls.pop() !== tag)
      throw new Error(`unexpected "${tag}"`);
  }

  private part(): Partial<Record<string, string>> {
    PART.lastIndex = this.at;
    const found = PART.exec(this.source);
    if (!found) throw new Error('a tag is not closed');
    this.at = PART.lastIndex;
    return found.groups ?? {};
  }
}

function signOf(character: string | undefined): string {
  return character === '-' || character === '+' ? character : '';
}

function* asText(value: string): Generator<Token> {
  if (value !== '') yield { value, type: 'Text' };
}

/** A number for the parser, which recognizes a float by its point. */
function numberToken(text: string): string {
  const plain = text.replaceAll('_', '').toLowerCase();
  if (/^0[box]/.test(plain) || /^\d+$/.test(plain)) {
    if (/^0\d*[1-9]/.test(plain)) throw new Error(`${text} is not a number`);
    const value = Number(plain);
    if (Number.isSafeInteger(value)) return String(value);
    throw new Error(`the number ${text} is too large for a template`);
  }
  return plain.includes('.') ? plain : plain.replace('e', '.e');
}

function markChains(tokens: readonly Token[]): void {
  const open = [0];
  let brackets = 0;
  for (const token of tokens) {
    if (token.type.startsWith('Open')) open.push(++brackets);
    else if (token.type.startsWith('Close')) open.pop();
    else CHAINS.set(token, open.at(-1)!);
  }
}
