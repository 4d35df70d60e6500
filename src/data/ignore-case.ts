/**
 * Rewrites case-insensitive patterns, `(?i:…)` and `(?i)…`, as patterns that list the letters of all cases. The JavaScript
 * library only handles ASCII, while Oniguruma follows Unicode (`s` matches `S` and `ſ`). Letters that equal two others
 * (`ß`, `ss`) are not handled.
 */

/** Letters by their case-folded form. */
let folded: Map<string, string[]> | undefined;
/** The last letter that has cases. */
const LAST_CASED = 0x1e943;

/** Turkish letters: equal to no other letter. */
const ALONE = 'ıİ';

const foldOf = (letter: string) => {
  if (ALONE.includes(letter)) return letter;
  const upper = letter.toLowerCase().toUpperCase();
  return Array.from(upper).length === 1 ? upper.toLowerCase() : letter;
};

/** The letters that are equal to it, including itself. */
function variantsOf(letter: string): readonly string[] {
  if (!folded) {
    folded = new Map();
    for (let code = 0x41; code <= LAST_CASED; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const each = String.fromCodePoint(code);
      if (each.toLowerCase() === each && each.toUpperCase() === each) continue;
      const fold = foldOf(each);
      const others = folded.get(fold);
      if (others) others.push(each);
      else folded.set(fold, [each]);
    }
  }
  return folded.get(foldOf(letter)) ?? [letter];
}

const TOKEN =
  /(?<range>(?:\\x\{[\da-fA-F]+\}|[^\\\]])-(?:\\x\{[\da-fA-F]+\}|[^\\\]]))|(?<property>\\[pP]\{[^}]*\}|\[:\^?\w+:\])|(?<code>\\x\{[\da-fA-F]+\})|(?<escaped>\\[\s\S])|(?<all>[\s\S])/uy;
const FLAG = /\(\?i([:)])/y;

/** The pattern with the letters of all cases in its case-insensitive parts. */
export function withAllCases(pattern: string): string {
  if (!pattern.includes('(?i')) return pattern;
  let made = '';
  /** Whether case is ignored in each open group, and how many brackets to write at its end. */
  const groups = [{ ignores: false, closes: 0 }];
  let inClass = 0;
  for (let at = 0; at < pattern.length; ) {
    const group = groups.at(-1)!;
    FLAG.lastIndex = at;
    const flag = inClass === 0 ? FLAG.exec(pattern) : null;
    if (flag) {
      at = FLAG.lastIndex;
      made += '(?:';
      if (flag[1] === ':') groups.push({ ignores: true, closes: 1 });
      else Object.assign(group, { ignores: true, closes: group.closes + 1 });
      continue;
    }
    TOKEN.lastIndex = at;
    const { range, property, code, escaped, all = '' } = TOKEN.exec(pattern)?.groups ?? {};
    const isRange = range !== undefined && inClass > 0;
    const token = isRange
      ? range
      : (property ?? code ?? escaped ?? (range === undefined ? all : firstOf(range)));
    at += token.length;
    if (inClass === 0 && token === '(') groups.push({ ignores: group.ignores, closes: 1 });
    if (inClass === 0 && token === ')' && groups.length > 1) {
      made += ')'.repeat(group.closes);
      groups.pop();
      continue;
    }
    if (token === '[') inClass++;
    if (token === ']' && inClass > 0) inClass--;
    if (!group.ignores || property !== undefined || escaped !== undefined) made += token;
    else if (isRange) made += token + rangeVariants(token);
    else made += allCases(token, inClass > 0);
  }
  return made + ')'.repeat(groups[0]?.closes ?? 0);
}

const firstOf = (range: string) => /^(?:\\x\{[^}]+\}|[\s\S])/u.exec(range)?.[0] ?? '';

function characterOf(token: string): string {
  const hex = /^\\x\{([\da-fA-F]+)\}$/.exec(token)?.[1];
  return hex === undefined ? token : String.fromCodePoint(Number.parseInt(hex, 16));
}

function allCases(token: string, isInClass: boolean): string {
  const variants = variantsOf(characterOf(token));
  if (variants.length < 2) return token;
  return isInClass ? variants.join('') : `[${variants.join('')}]`;
}

/** The other cases of the letters in a range that the range itself lacks. */
function rangeVariants(range: string): string {
  const first = firstOf(range);
  const [from, to] = [first, range.slice(first.length + 1)].map((each) => characterOf(each).codePointAt(0)!);
  const others = new Set<string>();
  for (let code = from; code <= Math.min(to, LAST_CASED); code++)
    for (const each of variantsOf(String.fromCodePoint(code))) {
      const other = each.codePointAt(0)!;
      if (other < from || other > to) others.add(each);
    }
  return [...others].join('');
}
