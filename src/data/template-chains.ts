/**
 * Operators whose meaning depends on their neighbors: chains of comparisons, `a < b < c`, which are true if each comparison
 * is, and `~` beside `+` and `-`.
 */
import { COMPARISONS } from './template-operators.ts';
import { CHAINS } from './template-source.ts';
import { node, type Syntax, syntaxOf } from './template-tree.ts';
import type { Node } from './template-values.ts';

export interface Chain {
  first: Node;
  more: { operator: string; right: Node }[];
}

/** The parts of `a < b < c`. */
export function chainOf(syntax: Syntax): Chain | undefined {
  const links = [syntax];
  for (let last = syntax; continues(last); ) {
    last = syntaxOf(last.left);
    links.push(last);
  }
  if (links.length === 1) return undefined;
  const more = links.map(({ operator, right }) => ({
    operator: operator?.value ?? '',
    right: right!,
  }));
  return { first: links.at(-1)!.left!, more: more.reverse() };
}

/** Whether a comparison continues the one on its left. */
function continues(syntax: Syntax): boolean {
  const left = syntaxOf(syntax.left);
  if (!isComparison(syntax) || !isComparison(left)) return false;
  const [outer, inner] = [syntax, left].map(({ operator }) => CHAINS.get(operator as object));
  // The parser creates a new node for "not in", so its bracket depth is unknown.
  if (outer === undefined || inner === undefined)
    throw new Error('"not in" twice in a chain of comparisons is not supported');
  return outer === inner;
}

const isComparison = ({ type, operator }: Syntax) =>
  type === 'BinaryExpression' && COMPARISONS.includes(operator?.value ?? '');

export const ADDITIVE: readonly string[] = ['+', '-', '~'];

const isAdditive = ({ type, operator }: Syntax) =>
  type === 'BinaryExpression' && ADDITIVE.includes(operator?.value ?? '');

/** Expressions whose operators are in order. */
const ORDERED = new WeakMap<object, Syntax>();

/** An additive expression with `~` applied before `+` and `-`, as in Jinja: `a + b ~ c` is `a + (b ~ c)`. */
export function concatenatedFirst(syntax: Syntax): Syntax {
  const known = ORDERED.get(syntax);
  if (known) return known;
  const links = [syntax];
  for (let last = syntax; joinsLeft(last); ) {
    last = syntaxOf(last.left);
    links.push(last);
  }
  const join = (link: Syntax, left: Node, right: Node): Node => {
    const made = node({ ...link, left, right });
    ORDERED.set(made, syntaxOf(made));
    return made;
  };
  let made = links.at(-1)!.left!;
  let sum: { link: Syntax; left: Node } | undefined;
  for (const link of links.reverse()) {
    const right = link.right!;
    if (link.operator?.value === '~') made = join(link, made, right);
    else {
      sum = { link, left: sum ? join(sum.link, sum.left, made) : made };
      made = right;
    }
  }
  const whole = syntaxOf(sum ? join(sum.link, sum.left, made) : made);
  ORDERED.set(syntax, whole);
  return whole;
}

/** Whether the left side is an additive expression in the same brackets. */
function joinsLeft({ operator, left }: Syntax): boolean {
  const inner = syntaxOf(left);
  return isAdditive(inner) && CHAINS.get(operator as object) === CHAINS.get(inner.operator as object);
}
