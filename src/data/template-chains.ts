/** Chains of comparisons, `a < b < c`, which are true if each comparison is. */
import { COMPARISONS } from './template-operators.ts';
import { CHAINS } from './template-source.ts';
import { type Syntax, syntaxOf } from './template-tree.ts';
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
    right: right as Node,
  }));
  return { first: links.at(-1)?.left as Node, more: more.reverse() };
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
