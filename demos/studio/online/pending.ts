/** Which judgments the next learning step of an online run may use, and as what. Plain data: the worker and tests ask it. */
import { type Draft, type Judgment, meaningOf, type Source } from '../preferences/judgment.ts';
import { pairsOf } from '../preferences/rows.ts';
import { isHeldOut } from '../preferences/split.ts';

/** The model as it stands in an online run. */
export interface Standing {
  /** Milliseconds since 1970: the start of the run, or its last step back. Earlier picks are not learned from. */
  since: number;
  /** Who writes now. */
  source: Source;
}

/** A draft that was shown to its end has the tokens that were drawn. */
export const isWhole = ({ tokens }: Draft): boolean => tokens !== undefined && tokens.length > 0;

const isBy = ({ model, adapter }: Source, { source }: Draft): boolean =>
  source?.model === model && source.adapter === adapter;

/**
 * Judgments, of any verdict, on drafts that the model as it stands has written and that were shown to their end, except on held-out
 * prompts. The latest `most` pairs among them are what a step learns from.
 */
export function judgedNow(judgments: readonly Judgment[], { since, source }: Standing): Judgment[] {
  return judgments.filter(
    ({ time, prompt, drafts }) =>
      time > since &&
      !isHeldOut(prompt) &&
      drafts.length > 0 &&
      drafts.every((draft) => isBy(source, draft) && isWhole(draft)),
  );
}

/** Those of them that make a pair, in order. */
export const pending = (judged: readonly Judgment[]): Judgment[] =>
  pairsOf(judged).map(({ judgment }) => judgment);

/** Judgments of this run that teach nothing because their prompt is held out. */
export const onHeldOut = (judgments: readonly Judgment[], since: number): number =>
  judgments.filter((judgment) => {
    const { time, prompt, drafts } = judgment;
    return time > since && meaningOf(judgment).isPair && isHeldOut(prompt) && drafts.every(isWhole);
  }).length;
