/** Python's text conversions: escapes in string literals, and texts as `repr()` and JSON write them. */
import { own } from '../base/lookup.ts';

const ESCAPE = /\\(?:\n|([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([xuUN])|([\s\S]))/g;
const NAMED: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The value of a string literal without its quotes; a backslash before an ordinary character is kept. */
export function unescaped(literal: string): string {
  return literal.replace(ESCAPE, (all, octal, short, unit, point, odd, name) => {
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    const hex: string | undefined = short ?? unit ?? point;
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (odd !== undefined) throw new Error(`the escape "${all}" is not supported`);
    return name === undefined ? '' : (own(NAMED, name) ?? all);
  });
}

const REPR: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

/** `repr(text)`. */
export function quotedText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let result = '';
  for (const character of text) {
    if (character === quote) result += `\\${character}`;
    else if (character !== ' ' && UNPRINTABLE.test(character))
      result += own(REPR, character) ?? escaped(character);
    else result += own(REPR, character) ?? character;
  }
  return quote + result + quote;
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, '0')}`;
  return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\U${code.padStart(8, '0')}`;
}

/** A text as `json.dumps` writes it. */
export function jsonText(text: string, ascii: boolean): string {
  // JSON.stringify escapes lone surrogates, unlike Python; conversations do not contain any.
  const json = JSON.stringify(text);
  if (!ascii) return json;
  return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `str(float)`. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
