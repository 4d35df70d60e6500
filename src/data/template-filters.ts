/**
 * Filters for which the interpreter differs from Jinja, or has a cost that it does not count. The other filters are the
 * interpreter's; filters that it lacks are rejected.
 */
import type { TemplateBudget } from './template-budget.ts';
import { percentText } from './template-format.ts';
import { toJson } from './template-json.ts';
import { type Filter, LIST_FILTERS } from './template-list-filters.ts';
import { asMarkup, escapedHtml, isMarkup, likeSource, markup } from './template-markup.ts';
import { isOn } from './template-members.ts';
import { NUMBER_FILTERS } from './template-number-filters.ts';
import { bind, capitalized, centered, linesOf, replaced, stripped } from './template-texts.ts';
import {
  dict,
  entriesOf,
  generator,
  int,
  intOf,
  isDict,
  isGenerator,
  isList,
  isMissing,
  isNone,
  isText,
  isTrue,
  itemsOf,
  iterate,
  list,
  missing,
  nameOf,
  pairsOf,
  str,
  takeItems,
  text,
  textOf,
  tuple,
  type Value,
} from './template-values.ts';

function size(value: Value, budget: TemplateBudget): Value {
  if (isText(value)) {
    budget.weigh(value);
    let count = 0;
    for (const _ of textOf(value)) count++;
    return int(count);
  }
  if (isGenerator(value)) throw new TypeError("object of type 'generator' has no len()");
  if (isList(value)) return int(itemsOf(value).length);
  if (isDict(value)) return int(entriesOf(value).size);
  if (isMissing(value)) return int(0);
  throw new TypeError(`object of type '${nameOf(value)}' has no len()`);
}

const indent: Filter = (value, args, budget) => {
  const [width, first, blank] = bind(args, 'indent', 'width', 'first', 'blank');
  if (!isText(value)) throw new TypeError(`indent() expects a text, got ${nameOf(value)}`);
  const by = width && isText(width) ? textOf(width) : ' '.repeat(spaces(width, budget));
  const lines = linesOf(`${textOf(value)}\n`, budget);
  budget.text(lines.reduce((length, line) => length + line.length + by.length + 1, 0));
  const [head = '', ...rest] = lines;
  const made = rest.map((line) => `\n${line !== '' || isOn(blank) ? by : ''}${line}`);
  return likeSource(text((isOn(first) ? by : '') + head + made.join('')), value);
};

function spaces(width: Value | undefined, budget: TemplateBudget): number {
  const count = width ? Math.max(0, Number(intOf(width))) : 4;
  budget.text(count);
  return count;
}

/** The filter `title`: letters after white space, a dash or an opening bracket become capitals. */
const titled = (value: string) =>
  value
    .split(/([-\s({[<]+)/)
    .map(capitalized)
    .join('');

/** The text of any value, changed; HTML if the value is. */
const alike =
  (change: (value: string) => string): Filter =>
  (value, _, budget) => {
    const shown = str(value, budget);
    budget.text(shown.length);
    return likeSource(text(change(shown)), value);
  };

const escaping: Filter = (value, _, budget) =>
  isMarkup(value) ? value : markup(escapedHtml(str(value, budget), budget));

/** A word, as the filter `wordcount` counts it. */
const WORD = /[\p{L}\p{N}_]+/gu;

const truncate: Filter = (value, args, budget) => {
  const names = ['length', 'killwords', 'end', 'leeway'];
  const [most = int(255), killwords, end = text('...'), leeway = int(5)] = bind(args, 'truncate', ...names);
  if (!isText(value)) throw new TypeError(`truncate() expects a text, got ${nameOf(value)}`);
  const shown = Array.from(textOf(value));
  budget.looks(shown.length);
  const mark = str(end, budget);
  const length = Number(intOf(most));
  const kept = length - Array.from(mark).length;
  if (!(kept >= 0)) throw new RangeError(`truncate() to ${length} characters is shorter than "${mark}"`);
  if (shown.length <= length + Number(intOf(leeway))) return value;
  const cut = shown.slice(0, kept).join('');
  const at = isOn(killwords) ? -1 : cut.lastIndexOf(' ');
  const whole = at < 0 ? cut : cut.slice(0, at);
  return isMarkup(value) ? markup(whole + textOf(asMarkup(text(mark), budget))) : text(whole + mark);
};

const first: Filter = (value, _, budget) => {
  if (isList(value)) return takeItems(value, 1)[0] ?? missing();
  return iterate(value, budget)[0] ?? missing();
};

const last: Filter = (value, _, budget) => {
  if (isGenerator(value)) throw new TypeError("'generator' object is not reversible");
  return iterate(value, budget).at(-1) ?? missing();
};

const fallbackTo: Filter = (value, args) => {
  const [fallback = text(''), boolean] = bind(args, 'default', 'default_value', 'boolean');
  return isMissing(value) || (isOn(boolean) && !isTrue(value)) ? fallback : value;
};

const length: Filter = (value, _, budget) => size(value, budget);

/** By their names in Jinja. */
export const FILTERS: Readonly<Record<string, Filter>> = {
  tojson: (value, args, budget) =>
    text(toJson(value, bind(args, 'tojson', 'ensure_ascii', 'indent', 'separators', 'sort_keys'), budget)),
  string: alike((value) => value),
  safe: (value, _, budget) => markup(str(value, budget)),
  escape: escaping,
  e: escaping,
  forceescape: (value, _, budget) => markup(escapedHtml(str(value, budget), budget)),
  upper: alike((value) => value.toUpperCase()),
  lower: alike((value) => value.toLowerCase()),
  capitalize: alike(capitalized),
  title: (value, _, budget) => {
    const shown = str(value, budget);
    budget.looks(shown.length);
    return text(titled(shown));
  },
  trim: (value, args, budget) => {
    const [characters] = bind(args, 'trim', 'chars');
    const taken = characters && !isNone(characters) ? str(characters, budget) : undefined;
    return likeSource(text(stripped(str(value, budget), 'both', taken, budget)), value);
  },
  replace: (value, args, budget) => {
    const [before, after, count] = bind(args, 'replace', 'old', 'new', 'count');
    const texts = [before, after].map((each) => each && text(str(each, budget)));
    return replaced(str(value, budget), [...texts, count], budget);
  },
  indent,
  length,
  count: length,
  default: fallbackTo,
  d: fallbackTo,
  list: (value, _, budget) => list([...iterate(value, budget)]),
  first,
  last,
  reverse: (value, _, budget) => {
    const items = [...iterate(value, budget)].reverse();
    return isText(value) ? likeSource(text(items.map(textOf).join('')), value) : generator(items);
  },
  items: (value) => {
    if (isMissing(value)) return generator([]);
    if (!isDict(value)) throw new TypeError('can only get item pairs from a mapping');
    return generator(pairsOf(entriesOf(value)).map((pair) => tuple(pair)));
  },
  wordcount: (value, _, budget) => {
    const shown = str(value, budget);
    budget.looks(shown.length);
    return int(shown.match(WORD)?.length ?? 0);
  },
  truncate,
  center: (value, args, budget) => {
    const [width = int(80)] = bind(args, 'center', 'width');
    return likeSource(centered(str(value, budget), [width], budget), value);
  },
  format: (value, args, budget) => {
    if (isMarkup(value)) throw new Error('formats from the filters "safe" and "escape" are not supported');
    const last = args.at(-1);
    const given = last?.type === 'KeywordArgumentsValue' ? dict(entriesOf(last)) : tuple(args);
    return text(percentText(str(value, budget), given, budget));
  },
  ...LIST_FILTERS,
  ...NUMBER_FILTERS,
};
