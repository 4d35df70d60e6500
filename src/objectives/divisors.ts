/**
 * What a sum over a completion's tokens is divided by, as data: a row a rule. With one divisor for a whole optimizer step
 * the step does not depend on how it is cut into micro-batches.
 */
import type { ExampleShape } from '../data/columns.ts';

/** What a rule may look at. Lengths are those of the completions that are learned. */
export interface DivisorContext {
  /** Of the micro-batch. */
  batch: readonly number[];
  /** Of the optimizer step. */
  step: readonly number[];
  /** The loss's options. */
  options: Readonly<Record<string, number>>;
}

/** Stands for each completion's own number of tokens. */
const OWN_TOKENS = 0;

export const DIVISORS = {
  /** Each completion's own number of tokens (GRPO). */
  sequence: () => OWN_TOKENS,
  /** The mean length in the micro-batch (TRL's direct losses; BNPO). */
  batch: ({ batch }) => mean(batch),
  /** The mean length in the optimizer step (SFT; DAPO). */
  step: ({ step }) => mean(step),
  /** A length that is the same in every step (Dr. GRPO). */
  constant: ({ options }) => options.maxCompletionLength ?? 1,
  /** Nothing: the sum itself counts (RLOO). */
  sum: () => 1,
} as const satisfies Readonly<Record<string, (context: DivisorContext) => number>>;

export type Divisor = keyof typeof DIVISORS;

/** Lengths of an example's first `count` completions. */
export function lengthsOf(examples: readonly ExampleShape[], count: number): number[] {
  return examples.flatMap(({ completions }) => completions.slice(0, count).map(({ length }) => length));
}

function mean(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
}
