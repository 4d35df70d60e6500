/**
 * What the steps of a tokenizer may make of a text: thirty that each double it would take all memory. The steps are the library's; here
 * each is held against the text that the first of them was given.
 */
import type { JsonObject } from '../io/json.ts';

/** A step of the library, or a list of steps in its place. */
export interface Step {
  config?: JsonObject;
  /** What stands for a space. */
  str_rep?: string;
  normalizers?: Step[];
  tokenizers?: Step[];
  decoders?: Step[];
  normalize?(text: string, ...more: unknown[]): string;
  pre_tokenize_text?(text: string, ...more: unknown[]): string[];
  decode_chain?(tokens: string[], ...more: unknown[]): string[];
}

/** Times that the steps may lengthen a text, and characters of which they may always make more: one ligature has 18 letters. */
const MOST_GROWTH = 32;
const FREE_CHARACTERS = 2 ** 16;
/** Most characters that a step by itself could make. */
const MOST_CHARACTERS = 2 ** 26;

const METHODS = ['normalize', 'pre_tokenize_text', 'decode_chain'] as const;
type Work = (given: string | string[], ...more: unknown[]) => string | string[];

/** Bounds a step, and those inside it, in place. What they make of one text is bounded together. */
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
      throw new Error(`a step may make more than ${MOST_CHARACTERS} characters of it`);
    state.depth++;
    try {
      const made = work(given, ...more);
      if (lengthOf(made) <= state.most) return made;
    } finally {
      state.depth--;
    }
    throw new Error(`its steps make it more than ${MOST_GROWTH} times as long`);
  };
}

function lengthOf(text: string | string[]): number {
  return typeof text === 'string' ? text.length : text.reduce((sum, { length }) => sum + length, 0);
}
