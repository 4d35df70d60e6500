/**
 * Configuration of the study of two criteria: happiness first, calm second, on the pairs of the embedded task, which calm
 * labels again; every training uses the settings of `align`. Plain data.
 */
export interface TradeoffTask {
  /** Number of pairs to label. */
  pairs: number;
  /** Weight of calm relative to sentiment: the second stage trains with β/λ. */
  lambda: number;
  /** Maximum steps of a stage; −1 for one epoch. */
  maxSteps: number;
  /** Scales of the second stage, ascending from 0 to 1. */
  scales: readonly number[];
  /** Number of held-out openings, from the first, and stories per opening. */
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

/** A reduced version for a quick test. */
export const TRADEOFF_QUICK: TradeoffTask = {
  ...TRADEOFF,
  pairs: 32,
  maxSteps: 2,
  scales: [0, 0.5, 1],
  openings: 4,
  stories: 1,
  maxNewTokens: 8,
};

/** Every model uses the same random numbers, and the full distribution, to which the KL refers. */
export const TRADEOFF_SAMPLING = { temperature: 1, seed: 7 } as const;

/** Number of standard errors within which an order may be violated by chance. */
export const ERRORS = 2;
