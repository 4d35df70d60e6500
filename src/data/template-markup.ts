/**
 * Texts that count as HTML, from the filters `safe` and `escape` (Python's `Markup`). A text that is added to one is escaped;
 * in all other ways they are texts.
 */
import type { TemplateBudget } from './template-budget.ts';
import {
  isList,
  isText,
  itemsOf,
  list,
  shownAs,
  str,
  text,
  textOf,
  tuple,
  type Value,
} from './template-values.ts';

const MARKUP = new WeakSet<Value>();

export const isMarkup = (value: Value) => MARKUP.has(value);

export function markup(value: string): Value {
  const made = shownAs(text(value), (inner) => `Markup(${inner})`);
  MARKUP.add(made);
  return made;
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ["'", '&#39;'],
  ['"', '&#34;'],
]);

/** The text with its special characters escaped. */
export function escapedHtml(value: string, budget: TemplateBudget): string {
  budget.looks(value.length);
  const made = value.replace(/[&<>'"]/g, (one) => ENTITIES.get(one)!);
  budget.text(made.length);
  return made;
}

/** A value as HTML: its text escaped, unless it is HTML already. */
export function asMarkup(value: Value, budget: TemplateBudget): Value {
  return isMarkup(value) ? value : markup(escapedHtml(str(value, budget), budget));
}

/** `made` from `source`: its texts are HTML if `source` is. */
export function likeSource(made: Value, source: Value): Value {
  if (!isMarkup(source)) return made;
  if (isText(made)) return markup(textOf(made));
  if (!isList(made)) return made;
  return (made.type === 'TupleValue' ? tuple : list)(itemsOf(made).map((each) => likeSource(each, source)));
}
