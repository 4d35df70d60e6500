/** The filter `tojson` as in transformers: `json.dumps`, which does not escape non-ASCII characters. */
import type { TemplateBudget } from './template-budget.ts';
import { compare } from './template-operators.ts';
import { floatText, jsonText } from './template-strings.ts';
import {
  entriesOf,
  intOf,
  isDict,
  isFloat,
  isList,
  isNone,
  isShownAs,
  isText,
  isTrue,
  isTruth,
  itemsOf,
  nameOf,
  pairsOf,
  textOf,
  type Value,
} from './template-values.ts';

const MOST_DEPTH = 200;

interface Style {
  ascii: boolean;
  /** Indentation per level. */
  indent: string | undefined;
  between: string;
  colon: string;
  sorted: boolean;
}

/** `value | tojson(ensure_ascii, indent, separators, sort_keys)`. */
export function toJson(value: Value, args: readonly (Value | undefined)[], budget: TemplateBudget): string {
  const [ascii, indentation, separators, sorted] = args;
  const indent = indentOf(indentation, budget);
  const [between, colon] = separatorsOf(separators) ?? [indent === undefined ? ', ' : ',', ': '];
  const isOn = (flag: Value | undefined) => flag !== undefined && isTrue(flag);
  return dumped(value, { ascii: isOn(ascii), indent, between, colon, sorted: isOn(sorted) }, '\n', 0, budget);
}

function indentOf(indent: Value | undefined, budget: TemplateBudget): string | undefined {
  if (indent === undefined || isNone(indent)) return undefined;
  if (isText(indent)) return textOf(indent);
  const width = Math.max(0, Number(intOf(indent)));
  budget.text(width);
  return ' '.repeat(width);
}

function separatorsOf(separators: Value | undefined): [string, string] | undefined {
  if (separators === undefined || isNone(separators)) return undefined;
  const [between, colon, ...more] = isList(separators) ? itemsOf(separators) : [];
  if (between && colon && more.length === 0 && isText(between) && isText(colon)) {
    return [textOf(between), textOf(colon)];
  }
  throw new TypeError('separators must be a pair of texts');
}

/** `line`: a line break and the indentation of the level that contains the value. */
function dumped(value: Value, style: Style, line: string, depth: number, budget: TemplateBudget): string {
  budget.charge(1);
  if (depth > MOST_DEPTH) throw new Error('maximum recursion depth exceeded');
  const inner = line + (style.indent ?? '');
  const below = (each: Value) => dumped(each, style, inner, depth + 1, budget);
  const bracketed = (open: string, items: string[], close: string) => {
    if (items.length === 0) return open + close;
    const parts = style.indent === undefined ? style.between : style.between + inner;
    budget.text(items.reduce((length, item) => length + item.length + parts.length, 0));
    const all = items.join(parts);
    return style.indent === undefined ? open + all + close : open + inner + all + line + close;
  };
  const quoted = (each: string) => {
    if (style.ascii) budget.looks(each.length);
    else budget.text(each.length);
    return jsonText(each, style.ascii);
  };
  if (isText(value)) return quoted(textOf(value));
  if (isShownAs(value)) throw new TypeError('the value is not JSON serializable');
  if (isList(value)) return bracketed('[', itemsOf(value).map(below), ']');
  budget.weigh(value);
  if (!isDict(value)) return scalar(value);
  const pairs = pairsOf(entriesOf(value));
  if (style.sorted) pairs.sort(([a], [b]) => compare(a, b, budget));
  const items = pairs.map(([key, each]) => {
    budget.text(style.colon.length);
    return quoted(isText(key) ? textOf(key) : scalar(key)) + style.colon + below(each);
  });
  return bracketed('{', items, '}');
}

const SPECIAL: ReadonlyMap<string, string> = new Map([
  ['nan', 'NaN'],
  ['inf', 'Infinity'],
  ['-inf', '-Infinity'],
]);

function scalar(value: Value): string {
  if (isNone(value)) return 'null';
  if (isTruth(value)) return String(value.value);
  if (isFloat(value)) {
    const shown = floatText(value.value as number);
    return SPECIAL.get(shown) ?? shown;
  }
  if (intOf(value) !== undefined) return String(value.value);
  throw new TypeError(`Object of type ${nameOf(value)} is not JSON serializable`);
}
