/**
 * Limits on the rendering of a template: a number of steps, which grows with the length of values, and the size of each
 * value.
 */
import type { Value } from './template-values.ts';

/** The longest conversation takes a few hundred steps per message. */
const MOST_STEPS = 1_000_000;
/** Maximum number of characters of a text, and of elements of a list, that a template makes. */
const MOST_CHARACTERS = 2 ** 24;
const MOST_ELEMENTS = 2 ** 20;
/** Characters per step: for engine operations on whole texts, and for loops here over single characters. */
const CHARACTERS_A_STEP = 64;
const LOOKS_A_STEP = 4;
/** Steps for adding, multiplying or printing an int beyond JavaScript's safe range. */
const LONG_INT = 100;

export class TemplateBudget {
  private steps = 0;

  charge(steps: number): void {
    this.steps += steps;
    if (!(this.steps <= MOST_STEPS)) throw new Error(`it takes more than ${MOST_STEPS} steps`);
  }

  /** Charges for an operation on a text of the given length. */
  text(characters: number): void {
    this.requireText(characters);
    this.charge(characters / CHARACTERS_A_STEP);
  }

  /** Charges for a loop over the given number of characters. */
  looks(characters: number): void {
    this.requireText(characters);
    this.charge(characters / LOOKS_A_STEP);
  }

  /** Charges for an operation on a list of the given length. */
  elements(count: number): void {
    this.requireElements(count);
    this.charge(count);
  }

  /** Charges for an operation on a value: the characters of a text, the elements of a list or dict. */
  weigh(value: Value): void {
    const held: unknown = value.value;
    if (typeof held === 'string') this.text(held.length);
    else if (Array.isArray(held)) this.elements(held.length);
    else if (held instanceof Map) this.elements(held.size);
    else if (typeof held === 'bigint') this.charge(LONG_INT);
  }

  /** Throws if a value is too large; the check itself is free. */
  require(value: Value): void {
    const held: unknown = value.value;
    if (typeof held === 'string') this.requireText(held.length);
    else if (Array.isArray(held)) this.requireElements(held.length);
  }

  private requireText(characters: number): void {
    if (!(characters <= MOST_CHARACTERS))
      throw new Error(`it makes a text of more than ${MOST_CHARACTERS} characters`);
  }

  private requireElements(count: number): void {
    if (!(count <= MOST_ELEMENTS)) throw new Error(`it makes a list of more than ${MOST_ELEMENTS} elements`);
  }
}
