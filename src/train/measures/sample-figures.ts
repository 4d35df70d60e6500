/**
 * Automatic measures of a model's texts: fluency under the original model, variety, length, and whether
 * they end. Pure functions of tokens.
 */

export interface SampleFigures {
  /** Mean log-probability per token under the model before training, nats. */
  fluency: number;
  /** distinct-3 (Li et al. 2016): share of distinct trigrams in all texts together. */
  distinct3: number;
  /** Mean number of tokens per text, including the end token. */
  length: number;
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
  return {
    fluency: referenceLogprobs.reduce((a, b) => a + b, 0) / Math.max(1, tokens),
    distinct3:
      distinct(
        texts.map(({ ids }) => ids),
        3,
      ) ?? 1,
    length: tokens / Math.max(1, texts.length),
    ended: texts.filter(({ finished }) => finished === 'eos').length / Math.max(1, texts.length),
  };
}

/** Share of distinct n-grams in all texts together (distinct-n, Li et al. 2016); undefined without n-grams. */
export function distinct(texts: readonly (readonly number[])[], n: number): number | undefined {
  const runs = texts.flatMap((ids) => ids.slice(n - 1).map((_, i) => ids.slice(i, i + n).join(' ')));
  return runs.length === 0 ? undefined : new Set(runs).size / runs.length;
}
