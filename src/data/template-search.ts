/**
 * A text searched for another one, in a time that grows with their lengths: the search of JavaScript engines may take their product.
 * A template is charged before it searches.
 */
import type { TemplateBudget } from './template-budget.ts';

/** A shorter part is left to the engine, which takes at most this many looks at a character. */
const SHORT = 16;

/** The parts of `text` between the places where `by` stands, which is not empty. More than a list may have are refused. */
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

/** Whether `part` stands somewhere in `text`. */
export function includes(text: string, part: string, budget: TemplateBudget): boolean {
  return finder(text, part, budget)(0) >= 0;
}

/** What finds the first place of `part` from an index on, −1 where there is none. */
function finder(text: string, part: string, budget: TemplateBudget): (from: number) => number {
  budget.text(text.length + part.length);
  if (part.length <= SHORT) return (from) => text.indexOf(part, from);
  budget.looks(text.length + part.length);
  const falls = fallsOf(part);
  return (from) => {
    let matched = 0;
    for (let at = from; at < text.length; at++) {
      while (matched > 0 && text[at] !== part[matched]) matched = falls[matched - 1] as number;
      if (text[at] === part[matched]) matched++;
      if (matched === part.length) return at + 1 - matched;
    }
    return -1;
  };
}

/** For each beginning of `part`: the length of its longest proper end that `part` begins with (Knuth, Morris and Pratt). */
function fallsOf(part: string): Uint32Array {
  const falls = new Uint32Array(part.length);
  let matched = 0;
  for (let at = 1; at < part.length; at++) {
    while (matched > 0 && part[at] !== part[matched]) matched = falls[matched - 1] as number;
    if (part[at] === part[matched]) matched++;
    falls[at] = matched;
  }
  return falls;
}
