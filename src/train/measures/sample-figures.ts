/**
 * Automatic measures of a model's texts: fluency under the original model, variety, and whether
 * they end. Pure functions of tokens.
 */

export interface SampleFigures {
  /** Mean log-probability per token under the model before training, nats. */
  fluency: number;
  /** distinct-3 (Li et al. 2016): share of distinct trigrams in all texts together. */
  distinct3: number;
  /** Share of texts that ended with an end token. */
  ended: number;
}

/** A text as tokens, including the end token that was drawn. */
export interface SampledText {
  ids: readonly number[];
  finished: 'eos' | 'length';
}

/** For texts and the log-probability of each, summed over its tokens, under the model before training. */
export function sampleFigures(
  texts: readonly SampledText[],
  referenceLogprobs: readonly number[],
): SampleFigures {
  const tokens = texts.reduce((sum, { ids }) => sum + ids.length, 0);
  const runs = texts.flatMap(({ ids }) => ids.slice(2).map((_, i) => ids.slice(i, i + 3).join()));
  return {
    fluency: referenceLogprobs.reduce((a, b) => a + b, 0) / Math.max(1, tokens),
    distinct3: runs.length === 0 ? 1 : new Set(runs).size / runs.length,
    ended: texts.filter(({ finished }) => finished === 'eos').length / Math.max(1, texts.length),
  };
}
