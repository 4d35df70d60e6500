/** Ranges of templates: `range(stop)`, `range(start, stop, step)` and their slices, which are ranges too. */
import type { TemplateBudget } from './template-budget.ts';
import { int, intOf, isNone, list, shownAs, type Value } from './template-values.ts';

/** The limit of Jinja's own sandbox. */
const MOST_RANGE = 100_000;

interface Range {
  start: number;
  stop: number;
  step: number;
  length: number;
}

const RANGES = new WeakMap<Value, Range>();

export const isRange = (value: Value) => RANGES.has(value);

/** The function `range` of templates. */
export function rangeOf(bounds: readonly Value[], budget: TemplateBudget): Value {
  const given = bounds.map((bound) => Number(intOf(bound)));
  const [start = 0, stop = 0, step = 1] = given.length < 2 ? [0, ...given] : given;
  if (bounds.length < 1 || bounds.length > 3) throw new TypeError('range expected 1 to 3 arguments');
  return made(start, stop, step, budget);
}

function made(start: number, stop: number, step: number, budget: TemplateBudget): Value {
  if (step === 0) throw new RangeError('range() arg 3 must not be zero');
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MOST_RANGE)) throw new Error(`range() has ${length} numbers; the limit is ${MOST_RANGE}`);
  budget.elements(length);
  const shown = `range(${start}, ${stop}${step === 1 ? '' : `, ${step}`})`;
  const value = shownAs(list(Array.from({ length }, (_, i) => int(start + i * step))), () => shown);
  RANGES.set(value, { start, stop, step, length });
  return value;
}

/** `range[from:to:by]`; `undefined` and none for a bound that is not given. */
export function slicedRange(
  value: Value,
  [from, to, by]: readonly (Value | undefined)[],
  budget: TemplateBudget,
): Value {
  const { start, step, length } = RANGES.get(value)!;
  const whole = (bound: Value | undefined) => {
    if (bound === undefined || isNone(bound)) return undefined;
    const number = intOf(bound);
    if (number === undefined) throw new TypeError('slice indices must be integers');
    return Number(number);
  };
  const stride = whole(by) ?? 1;
  if (stride === 0) throw new RangeError('slice step cannot be zero');
  const [lowest, highest] = stride > 0 ? [0, length] : [-1, length - 1];
  const within = (bound: number | undefined, otherwise: number) =>
    bound === undefined ? otherwise : Math.min(highest, Math.max(lowest, bound < 0 ? bound + length : bound));
  const first = within(whole(from), stride > 0 ? lowest : highest);
  const last = within(whole(to), stride > 0 ? highest : lowest);
  return made(start + first * step, start + last * step, step * stride, budget);
}
