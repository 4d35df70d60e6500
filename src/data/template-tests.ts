/** Tests of templates (`value is name`) as in Jinja. */
import { own } from '../base/lookup.ts';
import type { TemplateBudget } from './template-budget.ts';
import { isMarkup } from './template-markup.ts';
import { compare, contains, equals, OPERATORS } from './template-operators.ts';
import { isRange } from './template-ranges.ts';
import {
  int,
  isDict,
  isFloat,
  isList,
  isMissing,
  isNone,
  isShownAs,
  isText,
  isTruth,
  numberOf,
  str,
  type Value,
} from './template-values.ts';

export type Test = (value: Value, args: readonly Value[], budget: TemplateBudget) => boolean;

const LETTERS = /[\p{Lu}\p{Ll}\p{Lt}]/u;

/** `value % 2 == expected`, also of floats and of texts, which `%` formats. */
const rest =
  (expected: number): Test =>
  (value, _, budget) => {
    const remainder = own(OPERATORS, '%')?.(value, int(2), budget);
    return remainder !== undefined && equals(remainder, int(expected), budget);
  };

const isCased =
  (change: (text: string) => string): Test =>
  (value, _, budget) => {
    const shown = str(value, budget);
    budget.looks(shown.length);
    return LETTERS.test(shown) && shown === change(shown);
  };

const beside =
  (holds: (value: Value, other: Value, budget: TemplateBudget) => boolean): Test =>
  (value, [other, more], budget) => {
    if (!other || more) throw new TypeError('a test takes one argument');
    return holds(value, other, budget);
  };

const eq = beside(equals);
const ne = beside((a, b, budget) => !equals(a, b, budget));
const lt = beside((a, b, budget) => compare(a, b, budget) < 0);
const le = beside((a, b, budget) => compare(a, b, budget) <= 0);
const gt = beside((a, b, budget) => compare(a, b, budget) > 0);
const ge = beside((a, b, budget) => compare(a, b, budget) >= 0);
const isIterable = (value: Value) => isText(value) || isList(value) || isDict(value) || isMissing(value);

const isDivisible = beside((value, by, budget) => {
  if (isText(value)) throw new TypeError('the test "divisibleby" requires a number');
  const rest = own(OPERATORS, '%')?.(value, by, budget);
  return rest !== undefined && numberOf(rest) === 0;
});

/** Python's `is`: for other values the result depends on Python's memory management. */
const isSame = beside((value, other) => {
  if ([value, other].some((each) => isTruth(each) || isNone(each)))
    return value.type === other.type && value.value === other.value;
  throw new Error('the test "sameas" is only supported for true, false and none');
});

/** Tests without arguments. */
const ALONE: Readonly<Record<string, Test>> = {
  boolean: isTruth,
  callable: (value) => value.type === 'FunctionValue' || isMissing(value),
  escaped: isMarkup,
  defined: (value) => !isMissing(value),
  undefined: isMissing,
  none: isNone,
  string: isText,
  mapping: isDict,
  sequence: (value) => isIterable(value) && (!isShownAs(value) || isText(value) || isRange(value)),
  iterable: isIterable,
  number: (value) => numberOf(value) !== undefined,
  integer: ({ type }) => type === 'IntegerValue',
  float: isFloat,
  odd: rest(1),
  even: rest(0),
  true: ({ type, value }) => type === 'BooleanValue' && value === true,
  false: ({ type, value }) => type === 'BooleanValue' && value === false,
  lower: isCased((text) => text.toLowerCase()),
  upper: isCased((text) => text.toUpperCase()),
};

/** Tests with one argument. */
const BESIDE: Readonly<Record<string, Test>> = {
  eq,
  equalto: eq,
  '==': eq,
  ne,
  '!=': ne,
  lt,
  lessthan: lt,
  '<': lt,
  le,
  '<=': le,
  gt,
  greaterthan: gt,
  '>': gt,
  ge,
  '>=': ge,
  in: beside(contains),
  divisibleby: isDivisible,
  sameas: isSame,
};

/** The test with this name; throws if there is none. */
export function testOf(name: string): Test {
  const alone = own(ALONE, name);
  const test = alone ?? own(BESIDE, name);
  if (!test) throw new Error(`the test "${name}" is not supported`);
  return (value, args, budget) => {
    if (alone && args.length > 0) throw new TypeError(`the test "${name}" takes no argument`);
    return test(value, args, budget);
  };
}
