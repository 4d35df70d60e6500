/**
 * Measures a model's stories for a study: one group per opening, with log-ratios to the model without adapters.
 */
import type { GenerationOptions } from 'webalign/models';
import { type Continuation, continueOpenings } from '../../cli/continuations.ts';
import { logRatios } from '../../cli/divergences.ts';
import type { OpenModel } from '../../cli/open.ts';
import { inGroups } from './groups.ts';

export interface MeasuredStories {
  stories: Continuation[];
  /** Sentiment, opening by opening. */
  rewards: number[][];
  /** log π − log π_ref in nats, rounded to multiples of 1 / `precision`. */
  logRatios: number[][];
}

/** Generates `numReturnSequences` stories per opening and scores them. */
export async function measureStories(
  open: OpenModel,
  openings: readonly string[],
  options: GenerationOptions & { numReturnSequences: number; signal: AbortSignal },
  precision: number,
): Promise<MeasuredStories> {
  const { numReturnSequences: copies, signal } = options;
  const stories = await continueOpenings(open.model, open.tokenizer, openings, options);
  const ratios = await logRatios(open, stories, signal);
  return {
    stories,
    rewards: inGroups(
      stories.map(({ sentiment }) => sentiment),
      copies,
    ),
    logRatios: inGroups(rounded(ratios, precision), copies),
  };
}

/** Rounds to multiples of 1 / `precision`, so that files stay small. */
export function rounded(values: readonly number[], precision: number): number[] {
  return values.map((value) => Math.round(value * precision) / precision);
}
