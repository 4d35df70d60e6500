/**
 * Hugging Face's Jinja interpreter with Python's values and a limit on its work. Evaluates the nodes whose values differ in
 * Python, and those that `template-tree.ts` adds to the tree.
 */
import { type Environment, Interpreter } from '@huggingface/jinja';
import { own } from '../base/lookup.ts';
import type { TemplateBudget } from './template-budget.ts';
import { ADDITIVE, type Chain, chainOf, concatenatedFirst } from './template-chains.ts';
import { FILTERS } from './template-filters.ts';
import { GenerationTracker } from './template-generation.ts';
import { requireNames, setEntry } from './template-keys.ts';
import type { Filter } from './template-list-filters.ts';
import { bodyText, items, Leave, type Loop, loop, loopBody, recursionOf, TURN } from './template-loops.ts';
import { likeSource } from './template-markup.ts';
import { attribute, item } from './template-members.ts';
import { OPERATORS, signed } from './template-operators.ts';
import { isRange, slicedRange } from './template-ranges.ts';
import { GENERATION } from './template-source.ts';
import { testOf } from './template-tests.ts';
import { NO_ELEMENT, testOfFilter, WITH } from './template-tokens.ts';
import { held, nameOfFilter, node, type Syntax, syntaxOf, withFilter } from './template-tree.ts';
import {
  type Call,
  callable,
  dict,
  type Entries,
  int,
  isPlainList,
  isText,
  isTrue,
  isTuple,
  itemsOf,
  missing,
  type Node,
  nameOf,
  none,
  str,
  text,
  textOf,
  truth,
  tuple,
  type Value,
} from './template-values.ts';

/** A private method of the library: positional and keyword arguments. */
type Arguments = (args: Node[], environment: Environment) => [Value[], Map<string, Value>];
const { evaluateArguments } = Interpreter.prototype as unknown as { evaluateArguments: Arguments };

type Evaluate = (self: TemplateInterpreter, syntax: Syntax, environment: Environment) => Value;

export class TemplateInterpreter extends Interpreter {
  readonly budget: TemplateBudget;
  /** The running loops, the innermost last. */
  readonly loops: Loop[] = [];
  readonly generation = new GenerationTracker();

  constructor(environment: Environment, budget: TemplateBudget) {
    super(environment);
    this.budget = budget;
    Object.assign(this, { evaluateArguments: this.argumentsOf });
    environment.setVariable(
      GENERATION,
      callable((_, scope) => this.generation.mark(scope)),
    );
    environment.setVariable(
      WITH,
      callable((values, scope) => (scope.lookupVariable('caller').value as unknown as Call)(values, scope)),
    );
  }

  override evaluate(each: Node | undefined, environment: Environment): Value {
    this.budget.charge(1);
    const syntax = syntaxOf(each);
    const corrected = own(CORRECTED, syntax.type);
    const value = corrected ? corrected(this, syntax, environment) : super.evaluate(each, environment);
    this.budget.require(value);
    return value;
  }

  /** A call copies the elements of spread arguments: `f(*list)`. */
  private readonly argumentsOf: Arguments = (args, environment) => {
    const [placed, named] = evaluateArguments.call(this, args, environment);
    this.budget.elements(placed.length + named.size);
    requireNames(named);
    return [placed, named];
  };

  library(syntax: Syntax, environment: Environment): Value {
    return super.evaluate(node(syntax), environment);
  }

  filtered(name: string, value: Value, args: Value[]): Value {
    const filter = filterOf(name);
    this.budget.weigh(value);
    if (!filter) throw new Error(`the filter "${name}" is not supported`);
    const made = filter(value, args, this.budget, (other, each, more) => this.filtered(other, each, more));
    this.budget.weigh(made);
    return made;
  }
}

/** A filter, or a test with arguments that is written as a filter. */
function filterOf(name: string): Filter | undefined {
  const test = testOfFilter(name);
  if (!test) return own(FILTERS, name);
  const holds = testOf(test.name);
  return (value, args, budget) => truth(holds(value, args, budget) !== test.isNegated);
}

const binary: Evaluate = (self, syntax, environment) => {
  const name = syntax.operator?.value ?? '';
  if (ADDITIVE.includes(name)) return additive(self, syntax, environment);
  const operator = own(OPERATORS, name);
  if (!operator) return self.library(syntax, environment);
  const chained = chainOf(syntax);
  if (chained) return chain(self, chained, environment);
  const [left, right] = [syntax.left, syntax.right].map((side) => self.evaluate(side, environment));
  return operator(left, right, self.budget);
};

function chain(self: TemplateInterpreter, { first, more }: Chain, environment: Environment): Value {
  let left = self.evaluate(first, environment);
  for (const { operator, right } of more) {
    const next = self.evaluate(right, environment);
    const holds = own(OPERATORS, operator)!(left, next, self.budget);
    if (!isTrue(holds)) return holds;
    left = next;
  }
  return truth(true);
}

/** An additive operator, with `~` binding more strongly than `+` and `-`; the parser treats them alike. */
const additive: Evaluate = (self, syntax, environment) => {
  const { operator, left, right } = concatenatedFirst(syntax);
  const [a, b] = [left, right].map((side) => self.evaluate(side, environment));
  return own(OPERATORS, operator?.value ?? '')!(a, b, self.budget);
};

const filter: Evaluate = (self, syntax, environment) => {
  const value = self.evaluate(syntax.operand, environment);
  const name = nameOfFilter(syntax.filter);
  if (filterOf(name)) {
    const apply: Call = (args) => self.filtered(name, value, args);
    // The interpreter evaluates the arguments.
    const callee = syntaxOf(held(callable(apply)));
    return self.library({ type: 'CallExpression', callee, args: syntax.filter?.args ?? [] }, environment);
  }
  self.budget.weigh(value);
  return self.library(
    { type: 'FilterExpression', operand: held(value), ...withFilter(syntax.filter) },
    environment,
  );
};

const bounds = (self: TemplateInterpreter, slice: Syntax, environment: Environment) =>
  [slice.start, slice.stop, slice.step].map((each) => each && self.evaluate(each, environment));

const member: Evaluate = (self, syntax, environment) => {
  const object = self.evaluate(syntax.object, environment);
  const { property, computed } = syntax;
  if (computed && property?.type === 'SliceExpression') {
    if (isText(object)) self.budget.looks(textOf(object).length);
    else self.budget.weigh(object);
    if (isRange(object)) return slicedRange(object, bounds(self, property, environment), self.budget);
    if (!isText(object) && !isPlainList(object))
      throw new TypeError(`'${nameOf(object)}' object cannot be sliced`);
    const made = self.library({ ...syntax, object: held(object) }, environment);
    if (isText(object)) return likeSource(made, object);
    return isTuple(object) ? tuple(itemsOf(made)) : made;
  }
  if (computed) return item(object, self.evaluate(property as unknown as Node, environment), self.budget);
  if (property?.type === 'IntegerLiteral') return item(object, int(property.value as number), self.budget);
  return attribute(object, String(property?.value), self.budget);
};

/** A test without arguments, the only kind that the parser supports. */
const test: Evaluate = (self, syntax, environment) => {
  const value = self.evaluate(syntax.operand, environment);
  const holds = testOf(String(syntax.test?.value));
  return truth(holds(value, [], self.budget) !== syntax.negate);
};

const unary: Evaluate = (self, syntax, environment) => {
  const sign = syntax.operator?.value ?? '';
  const value = self.evaluate(syntax.argument, environment);
  return sign === 'not' ? truth(!isTrue(value)) : signed(sign, value);
};

/** A macro sees the scope of its definition, not of its call. */
const macro: Evaluate = (self, syntax, environment) => {
  const made = self.library(syntax, environment);
  const name = String(syntax.name?.value);
  const call = environment.lookupVariable(name).value as unknown as Call;
  const seen: Call = (args, scope) => {
    self.budget.charge(TURN);
    const inner = new (environment.constructor as new (parent: Environment) => Environment)(environment);
    const caller = scope.variables.get('caller');
    if (caller) inner.setVariable('caller', caller);
    return self.generation.holding(() => call(args, inner));
  };
  environment.setVariable(name, callable(seen));
  return made;
};

/** A call; that of the variable `loop` runs its recursive loop over other items. */
const call: Evaluate = (self, syntax, environment) => {
  const callee = self.evaluate(syntax.callee as unknown as Node, environment);
  const again = recursionOf(callee);
  if (!again && callee.type !== 'FunctionValue') {
    const { value, property } = syntax.callee as Syntax;
    throw new TypeError(`the function "${value ?? property?.value}" is not supported`);
  }
  const called = again ? callable(([items]) => again(items ?? missing())) : callee;
  return self.library({ ...syntax, callee: syntaxOf(held(called)) }, environment);
};

const mapping: Evaluate = (self, { value }, environment) => {
  const entries: Entries = new Map();
  for (const [key, each] of value as ReadonlyMap<Node, Node>) {
    const name = self.evaluate(key, environment);
    self.budget.weigh(name);
    setEntry(entries, name, self.evaluate(each, environment));
  }
  return dict(entries);
};

const literal: Evaluate = (self, syntax, environment) => {
  const made = self.library(syntax, environment);
  self.budget.weigh(made);
  return made;
};

const CONSTANTS: Readonly<Record<string, () => Value>> = {
  true: () => truth(true),
  True: () => truth(true),
  false: () => truth(false),
  False: () => truth(false),
  none,
  None: none,
};

const identifier: Evaluate = (self, syntax, environment) => {
  const name = String(syntax.value);
  const value = own(CONSTANTS, name)?.() ?? self.library(syntax, environment);
  return name === 'varargs' && value.type === 'ArrayValue' ? tuple(itemsOf(value)) : value;
};

/** By node type; the interpreter evaluates all others. */
const CORRECTED: Readonly<Record<string, Evaluate>> = {
  Held: (_, syntax) => syntax.held!,
  Output: (self, { inner }, environment) => {
    const made = self.generation.holding(() => text(str(self.evaluate(inner, environment), self.budget)));
    self.budget.weigh(made);
    return made;
  },
  Scope: (self, syntax, environment) => {
    const scope = new (environment.constructor as new (parent: Environment) => Environment)(environment);
    return text(bodyText(self, syntax, scope));
  },
  Body: (self, syntax, environment) => text(bodyText(self, syntax, environment)),
  Set: (self, syntax, environment) => self.generation.holding(() => self.library(syntax, environment)),
  For: loop,
  LoopBody: loopBody,
  Items: items,
  CallExpression: call,
  ObjectLiteral: mapping,
  Break: () => {
    throw new Leave(true);
  },
  Continue: () => {
    throw new Leave(false);
  },
  Macro: macro,
  BinaryExpression: binary,
  UnaryExpression: unary,
  FilterExpression: filter,
  TestExpression: test,
  MemberExpression: member,
  Identifier: identifier,
  ArrayLiteral: literal,
  TupleLiteral: (self, syntax, environment) => {
    const elements = (syntax.value as Node[]).filter((each) => syntaxOf(each).value !== NO_ELEMENT);
    return literal(self, { ...syntax, value: elements }, environment);
  },
  IntegerLiteral: (_, { value }) => int(value as number),
};
