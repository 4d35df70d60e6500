/** What the rendering of a template may cost: a count of steps, in which a value counts by its length, and the size of any value. */
import type { Value } from './template-values.ts';

/** The longest conversation takes a few hundred a message. */
const MOST_STEPS = 1_000_000;
/** Most characters of any text, and elements of any list, that a template makes. */
const MOST_CHARACTERS = 2 ** 24;
const MOST_ELEMENTS = 2 ** 20;
/** Characters in the time of a step: where the engine works on a whole text, and where each is looked at here. */
const CHARACTERS_A_STEP = 64;
const LOOKS_A_STEP = 4;
/** Steps for an int beyond JavaScript's: to add, multiply or print it. */
const LONG_INT = 100;

export class TemplateBudget {
  private steps = 0;

  charge(steps: number): void {
    this.steps += steps;
    if (!(this.steps <= MOST_STEPS)) throw new Error(`it takes more than ${MOST_STEPS} steps`);
  }

  /** Before or after work on a text of that length. */
  text(characters: number): void {
    this.requireText(characters);
    this.charge(characters / CHARACTERS_A_STEP);
  }

  /** Before each of so many characters is looked at. */
  looks(characters: number): void {
    this.requireText(characters);
    this.charge(characters / LOOKS_A_STEP);
  }

  /** Before or after work on a list of that length. */
  elements(count: number): void {
    this.requireElements(count);
    this.charge(count);
  }

  /** Charges for a value that is worked on: the characters of a text, the elements of a list or dict. */
  weigh(value: Value): void {
    const held: unknown = value.value;
    if (typeof held === 'string') this.text(held.length);
    else if (Array.isArray(held)) this.elements(held.length);
    else if (held instanceof Map) this.elements(held.size);
    else if (typeof held === 'bigint') this.charge(LONG_INT);
  }

  /** Refuses a value that is too large; looking at it costs nothing. */
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
