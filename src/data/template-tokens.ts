/**
 * Rewrites the tokens of a tag into forms that Hugging Face's parser supports: a test with arguments as a filter, `with` as
 * a call, and a tuple of fewer than two elements as a larger tuple with placeholders, which `template-interpreter.ts`
 * removes.
 */
import type { tokenize } from '@huggingface/jinja';

type Token = ReturnType<typeof tokenize>[number];

/** Placeholder for a missing element. Templates cannot contain such a name. */
export const NO_ELEMENT = 'no element';
/** The function that a `with` block calls: it passes the values to the block. */
export const WITH = 'with block';
const TEST = /^is (not )?(.+)$/;

const KEYWORDS = new Set('and or not in is if else elif for recursive set'.split(' '));
const VALUES = ['StringLiteral', 'NumericLiteral'];
const CALLABLE = ['CloseParen', 'CloseSquareBracket', 'StringLiteral'];
const POSTFIX = ['Dot', 'OpenSquareBracket', 'OpenParen'];

const isName = (token: Token | undefined, ...names: string[]) =>
  token?.type === 'Identifier' && names.includes(token.value);
const isWord = (token: Token | undefined) => token?.type === 'Identifier' && !KEYWORDS.has(token.value);

/** The test that a filter of this name represents. */
export function testOfFilter(name: string): { name: string; isNegated: boolean } | undefined {
  const [, negation, test] = TEST.exec(name) ?? [];
  return test === undefined ? undefined : { name: test, isNegated: negation !== undefined };
}

export function readable(tokens: readonly Token[]): Token[] {
  return withTuples(withTests(withScopes(tokens)));
}

const token = (type: string, value: string) => ({ type, value }) as Token;

/** `with a = 1, b = 2` as `call(a, b) WITH(1, 2)`, and its end tag. */
function withScopes(tokens: readonly Token[]): readonly Token[] {
  const [opening, word] = tokens;
  if (opening?.type !== 'OpenStatement' || !isName(word, 'with', 'endwith')) return tokens;
  const end = tokens.at(-1) as Token;
  if (isName(word, 'endwith')) return [opening, token('Identifier', 'endcall'), end];
  const comma = token('Comma', ',');
  const [names, values]: [Token[], Token[]] = [[], []];
  for (const [name, equals, ...value] of assignments(tokens.slice(2, -1))) {
    if (name?.type !== 'Identifier' || equals?.type !== 'Equals')
      throw new Error('"with" requires assignments');
    names.push(...(names.length > 0 ? [comma] : []), name);
    // In brackets, a value is not parsed as a keyword argument.
    values.push(
      ...(values.length > 0 ? [comma] : []),
      token('OpenParen', '('),
      ...value,
      token('CloseParen', ')'),
    );
  }
  const inBrackets = (inner: Token[]) => [token('OpenParen', '('), ...inner, token('CloseParen', ')')];
  const call = [
    token('Identifier', 'call'),
    ...inBrackets(names),
    token('Identifier', WITH),
    ...inBrackets(values),
  ];
  return [opening, ...call, end];
}

/** The parts between commas that are not in brackets. */
function assignments(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [];
  let depth = 0;
  for (const [at, each] of tokens.entries()) {
    if (each.type.startsWith('Open')) depth++;
    if (each.type.startsWith('Close')) depth--;
    const isBorder = depth === 0 && each.type === 'Comma';
    if (at === 0 || isBorder) parts.push([]);
    if (!isBorder) parts.at(-1)?.push(each);
  }
  return parts;
}

/** `value is name(…)` and `value is name argument` as `value | "is name"(…)`. */
function withTests(tokens: readonly Token[]): Token[] {
  const made: Token[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const each = tokens[at] as Token;
    const nameAt = isName(tokens[at + 1], 'not') ? at + 2 : at + 1;
    const [name, next, after] = tokens.slice(nameAt, nameAt + 3);
    const isCall = next?.type === 'OpenParen';
    const isAlone =
      next && (VALUES.includes(next.type) || isWord(next)) && !POSTFIX.includes(after?.type ?? '');
    if (!isName(each, 'is') || name?.type !== 'Identifier' || !(isCall || isAlone)) {
      made.push(each);
      continue;
    }
    const words = [...tokens.slice(at, nameAt), name].map(({ value }) => value).join(' ');
    made.push(token('Pipe', '|'), token('Identifier', words));
    if (isAlone) made.push(token('OpenParen', '('), next, token('CloseParen', ')'));
    at = isAlone ? nameAt + 1 : nameAt;
  }
  return made;
}

/** `()` and `(a,)` as tuples of two or more elements. */
function withTuples(tokens: readonly Token[]): Token[] {
  /** For each open bracket, whether it belongs to a value rather than to a call. */
  const open: boolean[] = [];
  const hole = token('Identifier', NO_ELEMENT);
  return tokens.flatMap((each, at) => {
    const before = tokens[at - 1];
    if (each.type.startsWith('Open'))
      open.push(each.type === 'OpenParen' && !isWord(before) && !CALLABLE.includes(before?.type ?? ''));
    if (!each.type.startsWith('Close')) return [each];
    const isValue = open.pop();
    if (!isValue || each.type !== 'CloseParen') return [each];
    if (before?.type === 'Comma' && tokens[at - 2]?.type !== 'OpenParen') return [hole, each];
    return before?.type === 'OpenParen' ? [hole, token('Comma', ','), hole, each] : [each];
  });
}
