/**
 * Changes the parsed tree of a template where the interpreter would print a value as JavaScript does, loop over values that
 * Python would not, or lose the text that an iteration wrote before `break`.
 */
import { parse } from '@huggingface/jinja';
import type { Program } from './template-source.ts';
import { RECURSIVE } from './template-tokens.ts';
import type { Node, Value } from './template-values.ts';

/** The fields of a tree node that are used here. */
export interface Syntax {
  type: string;
  value?: unknown;
  body?: Node[];
  alternate?: Node[];
  defaultBlock?: Node[];
  iterable?: Syntax & { lhs?: Node };
  loopvar?: Syntax;
  operator?: { value: string };
  left?: Node;
  right?: Node;
  argument?: Node;
  assignee?: Syntax;
  callee?: Syntax;
  args?: Node[];
  object?: Node;
  property?: Syntax;
  computed?: boolean;
  operand?: Node;
  start?: Node;
  stop?: Node;
  step?: Node;
  filter?: Syntax;
  negate?: boolean;
  test?: Syntax;
  name?: Syntax;
  /** Used by the nodes that are added here. */
  inner?: Node;
  held?: Value;
  isRecursive?: boolean;
  unpacks?: boolean;
}

/** The common prototype of the parser's nodes, which the interpreter checks. */
const PROTOTYPE = Object.getPrototypeOf(parse([])) as object;

export const node = (syntax: Syntax): Node => Object.assign(Object.create(PROTOTYPE), syntax) as Node;
export const syntaxOf = (each: Node | undefined): Syntax => (each ?? {}) as unknown as Syntax;
export const held = (value: Value): Node => node({ type: 'Held', held: value });

/** Statements; all other nodes in a body are printed. */
const STATEMENTS = [
  'Set',
  'If',
  'For',
  'Macro',
  'CallStatement',
  'Break',
  'Continue',
  'Comment',
  'StringLiteral',
];

/** Prepares the tree for the interpreter. */
export function prepare(program: Program): Program {
  program.body = [node({ type: 'Body', body: bodyOf(program.body) })];
  return program;
}

function bodyOf(body: readonly Node[]): Node[] {
  return body.map((each) => {
    const statement = syntaxOf(each);
    if (statement.type === 'FilterStatement') {
      const operand = node({ type: 'Scope', body: bodyOf(statement.body ?? []) });
      return node({
        type: 'Output',
        inner: node({ type: 'FilterExpression', operand, ...withFilter(statement.filter) }),
      });
    }
    if (statement.type === 'Set') prepareFilteredBlock(statement);
    if (!STATEMENTS.includes(statement.type)) return node({ type: 'Output', inner: each });
    for (const part of ['body', 'alternate', 'defaultBlock'] as const) {
      if (!statement[part] || (part === 'body' && statement.type === 'Set' && statement.value)) continue;
      // What a block that becomes a value sets ends with it.
      const type = statement.type === 'Set' ? 'Scope' : 'Body';
      statement[part] = [node({ type, body: bodyOf(statement[part]) })];
    }
    if (statement.type === 'For') prepareLoop(statement);
    return each;
  });
}

export const withFilter = (filter: Syntax | undefined) => (filter ? { filter } : {});

/** `{% set name | filter %}…{% endset %}` sets the result of the filter on the block. */
function prepareFilteredBlock(set: Syntax): void {
  const { assignee, body = [] } = set;
  if (assignee?.type !== 'FilterExpression') return;
  const operand = node({ type: 'Scope', body: bodyOf(body) });
  const filters = (each: Syntax): Node =>
    each.type === 'FilterExpression'
      ? node({
          type: 'FilterExpression',
          operand: filters(syntaxOf(each.operand)),
          ...withFilter(each.filter),
        })
      : operand;
  set.body = [filters(assignee)];
  set.assignee = nameIn(assignee);
}

function nameIn(filtered: Syntax): Syntax {
  return filtered.type === 'FilterExpression' ? nameIn(syntaxOf(filtered.operand)) : filtered;
}

function prepareLoop(loop: Syntax): void {
  const unpacks = loop.loopvar?.type === 'TupleLiteral';
  const items = (inner: Node) => node({ type: 'Items', inner, unpacks });
  const { iterable } = loop;
  const isFiltered = iterable?.type === 'SelectExpression';
  const given = isFiltered ? iterable.lhs! : (iterable as unknown as Node);
  const [inRecursion] = syntaxOf(given).callee?.value === RECURSIVE ? (syntaxOf(given).args ?? []) : [];
  loop.isRecursive = inRecursion !== undefined;
  const over = items(inRecursion ?? given);
  if (isFiltered) iterable.lhs = over;
  else loop.iterable = syntaxOf(over);
  const [body] = loop.body ?? [];
  if (!body) return;
  const inner = syntaxOf(body);
  inner.type = 'LoopBody';
  if (unpacks) inner.body = [...nestedNames(loop.loopvar!), ...(inner.body ?? [])];
}

/** `for a, (b, c) in …` as a loop over `a` and a pair, which is unpacked inside. */
function nestedNames(names: Syntax): Node[] {
  const elements = names.value as Node[];
  return elements.flatMap((element, at) => {
    const assignee = syntaxOf(element);
    if (assignee.type !== 'TupleLiteral') return [];
    const pair = node({ type: 'Identifier', value: `element ${at}` });
    elements[at] = pair;
    return [
      node({ type: 'Set', assignee, value: node({ type: 'Items', inner: pair, unpacks: false }), body: [] }),
      ...nestedNames(assignee),
    ];
  });
}

export function nameOfFilter(filter: Syntax | undefined): string {
  return String(filter?.type === 'CallExpression' ? filter.callee?.value : filter?.value);
}
