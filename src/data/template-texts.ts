/** Methods of texts as in Python. Searches with bounds (`start`, `end`) are not supported. */
import { CLASSES } from './python-classes.ts';
import { pythonLines, pythonStrip, pythonWords, type StripSides } from './python-text.ts';
import type { TemplateBudget } from './template-budget.ts';
import { piecesOf } from './template-search.ts';
import {
  type Entries,
  entriesOf,
  type Int,
  int,
  intOf,
  isNone,
  isText,
  itemsOf,
  iterate,
  list,
  nameOf,
  none,
  text,
  textOf,
  truth,
  tuple,
  type Value,
} from './template-values.ts';

/** Arguments in the order of the parameter names, undefined if missing. */
export function bind(args: readonly Value[], what: string, ...names: string[]): (Value | undefined)[] {
  const last = args.at(-1);
  const named: Entries = last?.type === 'KeywordArgumentsValue' ? entriesOf(last) : new Map();
  const placed = named.size > 0 || last?.type === 'KeywordArgumentsValue' ? args.slice(0, -1) : args;
  const odd = [...named.keys()].find((name) => names.indexOf(name) < placed.length);
  if (odd !== undefined) throw new TypeError(`${what}() does not take the argument ${odd}`);
  if (placed.length > names.length) throw new TypeError(`${what}() takes at most ${names.length} arguments`);
  return names.map((name, i) => placed[i] ?? named.get(name));
}

/** A method of a text: from `self` and its arguments to a value. */
export type Method = (self: string, args: (Value | undefined)[], budget: TemplateBudget) => Value;

export function textArgument(value: Value | undefined): string {
  if (value !== undefined && isText(value)) return textOf(value);
  throw new TypeError(`must be a text, not ${value ? nameOf(value) : 'nothing'}`);
}

const stripping =
  (sides: StripSides): Method =>
  (self, [characters], budget) => {
    const taken = characters && !isNone(characters) ? textArgument(characters) : undefined;
    return text(stripped(self, sides, taken, budget));
  };

export function stripped(
  self: string,
  sides: StripSides,
  characters: string | undefined,
  budget: TemplateBudget,
): string {
  budget.looks(characters?.length ?? 0);
  const rest = pythonStrip(self, sides, characters);
  budget.looks(self.length - rest.length);
  return rest;
}

const ends =
  (isEnd: (self: string, part: string) => boolean): Method =>
  (self, [part], budget) => {
    const parts = part?.type === 'TupleValue' ? itemsOf(part) : [part];
    return truth(
      parts.some((each) => {
        budget.text(textArgument(each).length);
        return isEnd(self, textArgument(each));
      }),
    );
  };

const HAS_CASE = /[\p{Lu}\p{Ll}\p{Lt}]/u;
/** Digraph letters, which have a third, title-case form. */
const DIGRAPH = /[Ǆ-ǌǱ-ǳ]/;
const GEORGIAN = /[ა-ჺჽ-ჿ]/;

/** The title-case form of a word's first letter. */
function capital(one: string): string {
  const made = one.toUpperCase();
  if (GEORGIAN.test(one)) return one;
  if (made.length === one.length && !DIGRAPH.test(one)) return made;
  throw new Error(`capitalizing "${one}" is not supported`);
}

/** `str.title`: a capital after every character without case. */
function titled(self: string): string {
  if (/\p{L}\p{M}*Σ/u.test(self)) throw new Error('lowercasing "Σ" within a word is not supported');
  let after = false;
  return Array.from(self, (one) => {
    const made = after ? one.toLowerCase() : capital(one);
    after = HAS_CASE.test(one);
    return made;
  }).join('');
}

/** The first character as a capital, all others in lower case. */
export function capitalized(self: string): string {
  const [first = ''] = self;
  return capital(first) + self.toLowerCase().slice(first.toLowerCase().length);
}

export const texts = (parts: readonly string[], budget: TemplateBudget): Value => {
  budget.elements(parts.length);
  return list(parts.map((part) => text(part)));
};

const split: Method = (self, [separator, most], budget) => {
  const limit = most === undefined ? -1 : Number(intOf(most));
  if (separator === undefined || isNone(separator)) {
    budget.looks(self.length);
    return texts(pythonWords(self, limit), budget);
  }
  const by = textArgument(separator);
  if (by === '') throw new RangeError('empty separator');
  const parts = piecesOf(self, by, budget);
  if (limit >= 0 && parts.length > limit + 1) parts.push(parts.splice(limit).join(by));
  return texts(parts, budget);
};

export const replaced: Method = (self, [before, after, count], budget) => {
  const [from, to] = [textArgument(before), textArgument(after)];
  const limit = count === undefined || isNone(count) ? -1 : Number(intOf(count));
  if (from === '') budget.elements(self.length);
  const parts = from === '' ? ['', ...Array.from(self), ''] : piecesOf(self, from, budget);
  const places = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1);
  budget.text(self.length + places * to.length);
  return text(
    parts.slice(0, places + 1).join(to) +
      parts
        .slice(places + 1)
        .map((part) => from + part)
        .join(''),
  );
};

export function linesOf(self: string, budget: TemplateBudget): string[] {
  budget.looks(self.length);
  return pythonLines(self);
}

const joined: Method = (self, [items], budget) => {
  const parts = iterate(items ?? none(), budget).map(textArgument);
  budget.text(parts.reduce((length, part) => length + part.length + self.length, 0));
  return text(parts.join(self));
};

/** Swaps the case of every letter. */
const swapped = (self: string) =>
  self.replace(/\p{Lowercase}+|\p{Uppercase}+/gu, (run) =>
    /\p{Lowercase}/u.test(run) ? run.toUpperCase() : Array.from(run, (one) => one.toLowerCase()).join(''),
  );

const found =
  (isLast: boolean, isRequired: boolean): Method =>
  (self, [part], budget) => {
    const by = textArgument(part);
    const pieces = by === '' ? ['', self] : piecesOf(self, by, budget);
    const before = isLast ? pieces.slice(0, -1).join(by) : pieces[0];
    if (pieces.length > 1) return int(points(isLast && by === '' ? self : before, budget));
    if (isRequired) throw new RangeError('substring not found');
    return int(-1);
  };

/** Number of code points. */
function points(self: string, budget: TemplateBudget): number {
  budget.looks(self.length);
  return Array.from(self).length;
}

const counted: Method = (self, [part], budget) => {
  const by = textArgument(part);
  return int(by === '' ? points(self, budget) + 1 : piecesOf(self, by, budget).length - 1);
};

/** Three parts: the text before the separator, the separator, and the rest. */
const partitioned =
  (isLast: boolean): Method =>
  (self, [separator], budget) => {
    const by = separatorOf(separator);
    const pieces = piecesOf(self, by, budget);
    const at = isLast ? pieces.length - 1 : 1;
    const parts =
      pieces.length > 1
        ? [pieces.slice(0, at).join(by), by, pieces.slice(at).join(by)]
        : isLast
          ? ['', '', self]
          : [self, '', ''];
    return tuple(parts.map((each) => text(each)));
  };

function separatorOf(value: Value | undefined): string {
  const by = textArgument(value);
  if (by === '') throw new RangeError('empty separator');
  return by;
}

const reversed = (self: string) => Array.from(self).reverse().join('');

const splitFromRight: Method = (self, [separator, most], budget) => {
  if (separator === undefined || isNone(separator)) {
    const limit = most === undefined ? -1 : Number(intArgument(most));
    budget.looks(self.length);
    return texts(pythonWords(reversed(self), limit).map(reversed).reverse(), budget);
  }
  const by = separatorOf(separator);
  const parts = piecesOf(self, by, budget);
  const limit = most === undefined ? -1 : Number(intArgument(most));
  const over = parts.length - limit;
  if (limit >= 0 && over > 1) parts.unshift(parts.splice(0, over).join(by));
  return texts(parts, budget);
};

function intArgument(value: Value | undefined): Int {
  const whole = value && intOf(value);
  if (whole === undefined) throw new TypeError(`must be an int, not ${value ? nameOf(value) : 'nothing'}`);
  return whole;
}

/** `before`: how many of the fill characters are placed in front. */
const justified =
  (before: (lacking: number, width: number) => number): Method =>
  (self, [width, fill], budget) => {
    const by = fill === undefined ? ' ' : textArgument(fill);
    if (points(by, budget) !== 1)
      throw new TypeError('the fill character must be exactly one character long');
    const places = Number(intArgument(width));
    const lacking = Math.max(0, places - points(self, budget));
    budget.text(self.length + lacking * by.length);
    const first = before(lacking, places);
    return text(by.repeat(first) + self + by.repeat(lacking - first));
  };

/** If the number of fill characters is odd, the extra one comes first if the width is odd. */
export const centered = justified((lacking, width) => (lacking >> 1) + (lacking & width & 1));

const zeroFilled: Method = (self, [width], budget) => {
  const sign = /^[+-]/.exec(self)?.[0] ?? '';
  const lacking = Math.max(0, Number(intArgument(width)) - points(self, budget));
  budget.text(self.length + lacking);
  return text(sign + '0'.repeat(lacking) + self.slice(sign.length));
};

const expanded: Method = (self, [size], budget) => {
  const width = size === undefined ? 8 : Number(intArgument(size));
  let column = 0;
  let made = '';
  budget.looks(self.length);
  for (const one of self) {
    const put = one !== '\t' ? one : ' '.repeat(width > 0 ? width - (column % width) : 0);
    budget.text(made.length + put.length);
    made += put;
    column = one === '\n' || one === '\r' ? 0 : column + Array.from(put).length;
  }
  return text(made);
};

/** By their names. */
export const TEXT_METHODS: Readonly<Record<string, { names?: readonly string[]; call: Method }>> = {
  strip: { names: ['chars'], call: stripping('both') },
  lstrip: { names: ['chars'], call: stripping('start') },
  rstrip: { names: ['chars'], call: stripping('end') },
  split: { names: ['sep', 'maxsplit'], call: split },
  splitlines: { call: (self, _, budget) => texts(linesOf(self, budget), budget) },
  replace: { names: ['old', 'new', 'count'], call: replaced },
  join: { names: ['iterable'], call: joined },
  startswith: { names: ['prefix'], call: ends((self, part) => self.startsWith(part)) },
  endswith: { names: ['suffix'], call: ends((self, part) => self.endsWith(part)) },
  upper: { call: (self) => text(self.toUpperCase()) },
  lower: { call: (self) => text(self.toLowerCase()) },
  title: {
    call: (self, _, budget) => {
      budget.looks(self.length);
      return text(titled(self));
    },
  },
  capitalize: { call: (self) => text(capitalized(self)) },
  swapcase: { call: (self) => text(swapped(self)) },
  rsplit: { names: ['sep', 'maxsplit'], call: splitFromRight },
  partition: { names: ['sep'], call: partitioned(false) },
  rpartition: { names: ['sep'], call: partitioned(true) },
  find: { names: ['sub'], call: found(false, false) },
  rfind: { names: ['sub'], call: found(true, false) },
  index: { names: ['sub'], call: found(false, true) },
  rindex: { names: ['sub'], call: found(true, true) },
  count: { names: ['sub'], call: counted },
  removeprefix: {
    names: ['prefix'],
    call: (self, [part]) =>
      text(self.startsWith(textArgument(part)) ? self.slice(textArgument(part).length) : self),
  },
  removesuffix: {
    names: ['suffix'],
    call: (self, [part]) =>
      text(self.endsWith(textArgument(part)) ? self.slice(0, self.length - textArgument(part).length) : self),
  },
  center: { names: ['width', 'fillchar'], call: centered },
  ljust: { names: ['width', 'fillchar'], call: justified(() => 0) },
  rjust: { names: ['width', 'fillchar'], call: justified((lacking) => lacking) },
  zfill: { names: ['width'], call: zeroFilled },
  expandtabs: { names: ['tabsize'], call: expanded },
  ...Object.fromEntries(
    Object.entries(CLASSES).map(([name, pattern]): [string, { call: Method }] => [
      name,
      {
        call: (self, _, budget) => {
          budget.looks(self.length);
          return truth(pattern.test(self));
        },
      },
    ]),
  ),
};
