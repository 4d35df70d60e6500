/** Tests of templates (`value is name`) as Jinja has them. */
import type { TemplateBudget } from './template-budget.ts';
import { compare, contains, equals } from './template-operators.ts';
import {
  intOf,
  isDict,
  isFloat,
  isList,
  isMissing,
  isNone,
  isText,
  isTruth,
  numberOf,
  str,
  type Value,
} from './template-values.ts';

export type Test = (value: Value, args: readonly Value[], budget: TemplateBudget) => boolean;

const LETTERS = /[\p{Lu}\p{Ll}\p{Lt}]/u;

const rest =
  (by: bigint, expected: bigint): Test =>
  (value) => {
    const whole = intOf(value);
    if (whole === undefined) throw new TypeError('it asks whether what is not an int is odd or even');
    const remainder = BigInt(whole) % by;
    return (remainder < 0n ? remainder + by : remainder) === expected;
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
  (value, [other], budget) => {
    if (!other) throw new TypeError('a test lacks its argument');
    return holds(value, other, budget);
  };

const eq = beside(equals);
const ne = beside((a, b, budget) => !equals(a, b, budget));
const lt = beside((a, b, budget) => compare(a, b, budget) < 0);
const le = beside((a, b, budget) => compare(a, b, budget) <= 0);
const gt = beside((a, b, budget) => compare(a, b, budget) > 0);
const ge = beside((a, b, budget) => compare(a, b, budget) >= 0);
const isSequence: Test = (value) => isText(value) || isList(value) || isDict(value) || isMissing(value);

export const TESTS: Readonly<Record<string, Test>> = {
  boolean: isTruth,
  callable: (value) => value.type === 'FunctionValue' || isMissing(value),
  defined: (value) => !isMissing(value),
  undefined: isMissing,
  none: isNone,
  string: isText,
  mapping: isDict,
  sequence: isSequence,
  iterable: isSequence,
  number: (value) => numberOf(value) !== undefined,
  integer: ({ type }) => type === 'IntegerValue',
  float: isFloat,
  odd: rest(2n, 1n),
  even: rest(2n, 0n),
  true: ({ type, value }) => type === 'BooleanValue' && value === true,
  false: ({ type, value }) => type === 'BooleanValue' && value === false,
  lower: isCased((text) => text.toLowerCase()),
  upper: isCased((text) => text.toUpperCase()),
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
};
