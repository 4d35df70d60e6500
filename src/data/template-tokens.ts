/**
 * Rewrites the tokens of a tag into forms that Hugging Face's parser supports: a test with arguments as a filter, `with` as
 * a call, and a tuple of fewer than two elements as a larger tuple with placeholders, which `template-interpreter.ts`
 * removes.
 */
import type { tokenize } from '@huggingface/jinja';

type Token = ReturnType<typeof tokenize>[number];

/** Placeholder for a missing element. Templates cannot contain such a name. */
export const NO_ELEMENT = 'no element';
/** The function around what a recursive loop iterates over. */
export const RECURSIVE = 'recursive loop';
/** The function that a `with` block calls: it passes the values to the block. */
export const WITH = 'with block';
const TEST = /^is (not )?(.+)$/;

const KEYWORDS = new Set('and or not in is if else elif for recursive set'.split(' '));
/** Keywords that may follow a test without an argument. */
const CONTINUES = ['and', 'or', 'else'];
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
  const made = withTuples(withTests(withLoops(withScopes(tokens))));
  requireSeparators(made);
  return made;
}

const inBrackets = (inner: readonly Token[]) => [token('OpenParen', '('), ...inner, token('CloseParen', ')')];

/** `for a in b if c recursive` with its two expressions in brackets, and `recursive` as a function of the first. */
function withLoops(tokens: readonly Token[]): readonly Token[] {
  const from = tokens.findIndex((each) => isName(each, 'in')) + 1;
  if (!isName(tokens[1], 'for') || from === 0) return tokens;
  const isRecursive = isName(tokens.at(-2), 'recursive');
  const inner = tokens.slice(from, isRecursive ? -2 : -1);
  const border = outside(inner).findIndex((each) => isName(each, 'if'));
  const [over, test] = border < 0 ? [inner] : [inner.slice(0, border), inner.slice(border + 1)];
  return [
    ...tokens.slice(0, from),
    ...(isRecursive ? [token('Identifier', RECURSIVE)] : []),
    ...inBrackets(over),
    ...(test ? [token('Identifier', 'if'), ...inBrackets(test)] : []),
    tokens.at(-1)!,
  ];
}

/** The tokens that are in no bracket, with undefined for the others. */
function outside(tokens: readonly Token[]): (Token | undefined)[] {
  let depth = 0;
  return tokens.map((each) => {
    if (each.type.startsWith('Close')) depth--;
    const isOutside = depth === 0;
    if (each.type.startsWith('Open')) depth++;
    return isOutside ? each : undefined;
  });
}

/** Throws where two values follow each other; the parser does not require commas in lists, dicts and calls. */
function requireSeparators(tokens: readonly Token[]): void {
  /** For each open parenthesis, whether it contains the arguments of a filter. */
  const open: boolean[] = [];
  // The name of a statement, and the arguments after `call`, precede a value.
  for (let at = 3; at < tokens.length; at++) {
    const [before, each] = [tokens[at - 1], tokens[at]] as [Token, Token];
    const isCallBlock = isName(tokens[1], 'call') && before.type === 'CloseParen';
    const isFilter = tokens[at - 2]?.type === 'Pipe' && each.type === 'OpenSquareBracket';
    const areTexts = before.type === 'StringLiteral' && each.type === 'StringLiteral';
    const isCall = before.type === 'CloseParen' && open.pop() && /^(Dot|OpenSquare)/.test(each.type);
    if (each.type === 'OpenParen') open.push(tokens[at - 2]?.type === 'Pipe');
    if (isFilter || isCall || (endsValue(before) && startsValue(each) && !areTexts && !isCallBlock))
      throw new Error(`unexpected "${each.value}"`);
  }
}

const startsValue = (each: Token) =>
  VALUES.includes(each.type) || isWord(each) || each.type === 'OpenCurlyBracket';
const endsValue = (each: Token) =>
  VALUES.includes(each.type) || isWord(each) || each.type.startsWith('Close');

const token = (type: string, value: string) => ({ type, value }) as Token;

/** `with a = 1, b = 2` as `call(a, b) WITH(1, 2)`, and its end tag. */
function withScopes(tokens: readonly Token[]): readonly Token[] {
  const [opening, word] = tokens;
  if (opening?.type !== 'OpenStatement' || !isName(word, 'with', 'endwith')) return tokens;
  const end = tokens.at(-1)!;
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

/** `value is name`, `value is name(…)` and `value is name argument` as `value | "is name"(…)`. */
function withTests(tokens: readonly Token[]): Token[] {
  const made: Token[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const each = tokens[at];
    const nameAt = isName(tokens[at + 1], 'not') ? at + 2 : at + 1;
    const name = tokens[nameAt];
    if (!isName(each, 'is') || name?.type !== 'Identifier') {
      made.push(each);
      continue;
    }
    const words = [...tokens.slice(at, nameAt), name].map(({ value }) => value).join(' ');
    made.push(token('Pipe', '|'), token('Identifier', words));
    const end = argumentEnd(tokens, nameAt + 1);
    if (end > nameAt + 1) made.push(...inBrackets(withTests(tokens.slice(nameAt + 1, end))));
    at = Math.max(nameAt, end - 1);
  }
  return made;
}

/** The end of a test's argument that is not in brackets; `at` if there is none. */
function argumentEnd(tokens: readonly Token[], at: number): number {
  const first = tokens[at];
  if (isName(first, ...CONTINUES) || first?.type === 'OpenParen') return at;
  if (isName(first, ...KEYWORDS)) throw new Error(`unexpected "${first?.value}" after a test`);
  if (!first || !(startsValue(first) || first.type === 'OpenSquareBracket')) return at;
  let end = first.type.startsWith('Open') ? closing(tokens, at) : at + 1;
  for (let next = tokens[end]; next && POSTFIX.includes(next.type); next = tokens[end])
    end = next.type === 'Dot' ? end + 2 : closing(tokens, end);
  return end;
}

/** The index after the bracket that closes the one at `from`. */
function closing(tokens: readonly Token[], from: number): number {
  let depth = 0;
  for (let at = from; at < tokens.length; at++) {
    const { type } = tokens[at];
    if (type.startsWith('Open')) depth++;
    if (type.startsWith('Close') && --depth === 0) return at + 1;
  }
  return tokens.length;
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
