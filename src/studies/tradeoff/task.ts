/**
 * What the study of two criteria is made of: gladness first, calm second, on the pairs of the embedded task, which calm
 * labels again, every training with the settings of `align`. Plain data.
 */
export interface TradeoffTask {
  /** Pairs to label. */
  pairs: number;
  /** Weight of calm beside gladness: the second stage trains with β/λ. */
  lambda: number;
  /** Most steps of a stage; −1 for one epoch. */
  maxSteps: number;
  /** Scales of the second stage, rising from 0 to 1. */
  scales: readonly number[];
  /** The first held-out openings, and stories for each. */
  openings: number;
  stories: number;
  maxNewTokens: number;
}

export const TRADEOFF: TradeoffTask = {
  pairs: 640,
  lambda: 1,
  maxSteps: -1,
  scales: [0, 0.25, 0.5, 0.75, 1],
  openings: 100,
  stories: 2,
  maxNewTokens: 40,
};

/** What is left of it all where someone only wants to see that it works. */
export const TRADEOFF_QUICK: TradeoffTask = {
  ...TRADEOFF,
  pairs: 32,
  maxSteps: 2,
  scales: [0, 0.5, 1],
  openings: 4,
  stories: 1,
  maxNewTokens: 8,
};

/** Every model writes with the same random numbers, from the whole distribution, which the KL is of. */
export const TRADEOFF_SAMPLING = { temperature: 1, seed: 7 } as const;

/** Standard errors within which an order may be broken by chance. */
export const ERRORS = 2;
