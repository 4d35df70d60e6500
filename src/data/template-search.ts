/**
 * Searches a text for another one in time linear in their lengths; the search of JavaScript engines may take their product.
 * The template is charged before the search.
 */
import type { TemplateBudget } from './template-budget.ts';

/** Shorter patterns are left to the engine, which then compares a character at most this many times. */
const SHORT = 16;

/** Splits `text` at each `by`, which is not empty. Throws if there would be more parts than a list may have. */
export function piecesOf(text: string, by: string, budget: TemplateBudget): string[] {
  const find = finder(text, by, budget);
  const pieces: string[] = [];
  let from = 0;
  for (let at = find(0); at >= 0; at = find(from)) {
    budget.elements(1);
    pieces.push(text.slice(from, at));
    from = at + by.length;
  }
  return [...pieces, text.slice(from)];
}

/** Whether `text` contains `part`. */
export function includes(text: string, part: string, budget: TemplateBudget): boolean {
  return finder(text, part, budget)(0) >= 0;
}

/** A function that returns the first position of `part` from an index on, or −1. */
function finder(text: string, part: string, budget: TemplateBudget): (from: number) => number {
  budget.text(text.length + part.length);
  if (part.length <= SHORT) return (from) => text.indexOf(part, from);
  budget.looks(text.length + part.length);
  const falls = fallsOf(part);
  return (from) => {
    let matched = 0;
    for (let at = from; at < text.length; at++) {
      while (matched > 0 && text[at] !== part[matched]) matched = falls[matched - 1];
      if (text[at] === part[matched]) matched++;
      if (matched === part.length) return at + 1 - matched;
    }
    return -1;
  };
}

/** For each prefix of `part`: the length of its longest proper suffix that is also a prefix (Knuth, Morris and Pratt). */
function fallsOf(part: string): Uint32Array {
  const falls = new Uint32Array(part.length);
  let matched = 0;
  for (let at = 1; at < part.length; at++) {
    while (matched > 0 && part[at] !== part[matched]) matched = falls[matched - 1];
    if (part[at] === part[matched]) matched++;
    falls[at] = matched;
  }
  return falls;
}
