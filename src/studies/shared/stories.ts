/**
 * Stories of a model as a study measures it: those to every opening, and how far the model's adapters have taken it.
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
  /** log π − log π_ref in nats, rounded to one in `precision`. */
  logRatios: number[][];
}

/** Writes `numReturnSequences` stories to each opening and scores them. */
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

/** To one in `precision`, so that files stay small. */
export function rounded(values: readonly number[], precision: number): number[] {
  return values.map((value) => Math.round(value * precision) / precision);
}
