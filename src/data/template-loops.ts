/** Loops of templates as in Jinja: their bodies, `else`, `break`, `continue` and recursion. */
import type { Environment } from '@huggingface/jinja';
import type { TemplateInterpreter } from './template-interpreter.ts';
import { held, type Syntax, syntaxOf } from './template-tree.ts';
import {
  entriesOf,
  generator,
  int,
  iterate,
  list,
  shownAs,
  text,
  textOf,
  type Value,
} from './template-values.ts';

/** Steps charged per iteration or macro call, in addition to its content. */
export const TURN = 5;

/** `break` or `continue`, with the text of the iteration that it ends. */
export class Leave extends Error {
  text = '';
  readonly ends: boolean;
  constructor(ends: boolean) {
    super('"break" and "continue" are only valid in loops');
    this.ends = ends;
  }
}

/** The state of a loop. */
export interface Loop {
  turns: number;
  /** Whether an iteration finished without `break` or `continue`. */
  isComplete: boolean;
  /** Whether a `break` has ended the loop. */
  isEnded: boolean;
  /** Number of loops around it that it recurses from. */
  depth: number;
  /** Runs a recursive loop over other items. */
  again: ((items: Value) => Value) | undefined;
}

/** The text of statements, up to a `break` or `continue`. */
export function bodyText(self: TemplateInterpreter, { body = [] }: Syntax, environment: Environment): string {
  let made = '';
  const { generation } = self;
  const from = generation.written;
  try {
    for (const each of body) {
      const value = self.evaluate(each, environment);
      if (value.type === 'StringValue') made += textOf(value);
      generation.written = from + made.length;
    }
  } catch (error) {
    if (error instanceof Leave) error.text = made + error.text;
    throw error;
  }
  return made;
}

export function loop(self: TemplateInterpreter, syntax: Syntax, environment: Environment, depth = 0): Value {
  const again = (items: Value) => {
    const { iterable, loopvar } = syntax;
    const inner = held(itemsOfLoop(self, items, loopvar?.type === 'TupleLiteral'));
    const other = iterable?.type === 'SelectExpression' ? { ...iterable, lhs: inner } : syntaxOf(inner);
    return loop(self, { ...syntax, iterable: other }, environment, depth + 1);
  };
  const state: Loop = {
    turns: 0,
    isComplete: false,
    isEnded: false,
    depth,
    again: syntax.isRecursive ? again : undefined,
  };
  self.loops.push(state);
  const made = self.library(syntax, environment);
  self.loops.pop();
  // Jinja runs `else` if no iteration finished.
  if (state.turns === 0 || state.isComplete) return made;
  const [otherwise] = syntax.defaultBlock ?? [];
  return otherwise ? text(textOf(made) + textOf(self.evaluate(otherwise, environment))) : made;
}

export function loopBody(self: TemplateInterpreter, syntax: Syntax, environment: Environment): Value {
  const state = self.loops.at(-1)!;
  if (state.isEnded) return text('');
  state.turns++;
  completeLoop(environment.lookupVariable('loop'), state);
  // The interpreter has one scope for all iterations; in Jinja, what an iteration sets ends with it.
  const scope = new (environment.constructor as new (parent: Environment) => Environment)(environment);
  try {
    const made = text(bodyText(self, syntax, scope));
    state.isComplete = true;
    return made;
  } catch (error) {
    if (!(error instanceof Leave)) throw error;
    state.isEnded = error.ends;
    return text(error.text);
  }
}

const RECURSIONS = new WeakMap<Value, (items: Value) => Value>();

/** What a call of the variable `loop` runs; undefined if it is not that of a recursive loop. */
export const recursionOf = (value: Value) => RECURSIONS.get(value);

/** Adds what the interpreter's variable `loop` lacks. */
function completeLoop(variable: Value, { depth, again }: Loop): void {
  const entries = entriesOf(variable);
  entries.set('depth0', int(depth)).set('depth', int(depth + 1));
  const [index, length] = ['index', 'length'].map((name) => entries.get(name)?.value);
  shownAs(variable, () => `<LoopContext ${index}/${length}>`);
  if (again) RECURSIONS.set(variable, again);
}

/** The items of a loop for the interpreter, which can only unpack lists. */
export function itemsOfLoop(self: TemplateInterpreter, value: Value, unpacks: boolean): Value {
  const values = iterate(value, self.budget);
  // The interpreter makes a scope, and the variable `loop` with its entries, for each item.
  self.budget.charge(values.length * TURN);
  return generator(unpacks ? values.map((each) => list(iterate(each, self.budget))) : values);
}

/** The items of the node that `template-tree.ts` puts around what a loop iterates over. */
export function items(
  self: TemplateInterpreter,
  { inner, unpacks }: Syntax,
  environment: Environment,
): Value {
  return itemsOfLoop(self, self.evaluate(inner!, environment), unpacks === true);
}
