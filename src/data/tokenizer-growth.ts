/**
 * Limits how much a tokenizer's steps may lengthen a text: thirty steps that each double it would exhaust the memory. The
 * steps are the library's; this file compares each result with the text that the first step received.
 */
import type { JsonObject } from '../io/json.ts';

/** A step of the library, or a list of steps. */
export interface Step {
  config?: JsonObject;
  /** The text that represents a space. */
  str_rep?: string;
  normalizers?: Step[];
  tokenizers?: Step[];
  decoders?: Step[];
  normalize?(text: string, ...more: unknown[]): string;
  pre_tokenize_text?(text: string, ...more: unknown[]): string[];
  decode_chain?(tokens: string[], ...more: unknown[]): string[];
}

/** Maximum factor by which the steps may lengthen a text, and a length that they may always add: one ligature has 18 letters. */
const MOST_GROWTH = 32;
const FREE_CHARACTERS = 2 ** 16;
/** Maximum number of characters that a single step could produce. */
const MOST_CHARACTERS = 2 ** 26;

const METHODS = ['normalize', 'pre_tokenize_text', 'decode_chain'] as const;
type Work = (given: string | string[], ...more: unknown[]) => string | string[];

/** Limits a step and its nested steps, in place. All results for one text count together. */
export function boundGrowth(step: Step | null): void {
  const state = { depth: 0, most: 0 };
  const bound = (each: Step): void => {
    for (const inner of [each.normalizers, each.tokenizers, each.decoders]) inner?.forEach(bound);
    for (const method of METHODS) {
      const work = each[method] as Work | undefined;
      if (work) Object.assign(each, { [method]: bounded(each, work.bind(each), state) });
    }
  };
  if (step) bound(step);
}

function bounded({ config, str_rep }: Step, work: Work, state: { depth: number; most: number }): Work {
  const longest = Math.max(
    ...[config?.content, str_rep].map((text) => (typeof text === 'string' ? text.length : 0)),
  );
  return (given, ...more) => {
    const length = lengthOf(given);
    if (state.depth === 0) state.most = MOST_GROWTH * length + FREE_CHARACTERS;
    // A pattern may match between any two characters.
    if ((length + 1) * (longest + 1) > MOST_CHARACTERS)
      throw new Error(`a step could make a text of more than ${MOST_CHARACTERS} characters`);
    state.depth++;
    try {
      const made = work(given, ...more);
      if (lengthOf(made) <= state.most) return made;
    } finally {
      state.depth--;
    }
    throw new Error(`its steps make a text more than ${MOST_GROWTH} times as long`);
  };
}

function lengthOf(text: string | string[]): number {
  return typeof text === 'string' ? text.length : text.reduce((sum, { length }) => sum + length, 0);
}
