/** How well a reward model tells a person's picks apart, on pairs that it has not learned from. Plain numbers. */
import { clopperPearson } from '../win-rate.ts';

/** A held-out pair, as text, and the score of the preferred side beyond the other one. */
export interface ScoredPair {
  prompt: string;
  chosen: string;
  rejected: string;
  margin: number;
}

/** Pairs in which the model is about as sure. */
export interface Bin {
  from: number;
  to: number;
  pairs: number;
  /** Mean chance that it gives the side that it prefers. */
  confidence: number;
  /** Share of the pairs in which the person prefers that side too. */
  right: number;
}

export interface RewardFigures {
  /** Pairs that it learned from, and held-out pairs. */
  learned: number;
  heldOut: number;
  /** Share of the held-out pairs in which it prefers what the person preferred; an equal score is a half. */
  accuracy: number;
  /** The exact 95% interval of that share, with equal scores counted as wrong. */
  interval: readonly [low: number, high: number];
  /** Standard deviation of the score of a draft around the mean of its prompt. */
  spread: number;
  /** Without empty bins. */
  calibration: Bin[];
  /** Held-out pairs in which it prefers the other side, the surest first. */
  disagreements: ScoredPair[];
}

/** Edges of the bins of its confidence, which is at least a half. */
const EDGES = [0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;

/** Bradley and Terry's chance that the side with the higher score is preferred. */
export const confidenceOf = (margin: number): number => 1 / (1 + Math.exp(-Math.abs(margin)));

export function rewardFigures(learned: number, pairs: readonly ScoredPair[]): RewardFigures {
  const right = pairs.filter(({ margin }) => margin > 0).length;
  const equal = pairs.filter(({ margin }) => margin === 0).length;
  return {
    learned,
    heldOut: pairs.length,
    accuracy: (right + equal / 2) / pairs.length,
    interval: clopperPearson(right, pairs.length),
    spread: spreadOf(pairs.map(({ margin }) => margin)),
    calibration: EDGES.slice(1).flatMap((to, i) => binOf(pairs, EDGES[i] as number, to)),
    disagreements: pairs.filter(({ margin }) => margin < 0).toSorted((a, b) => a.margin - b.margin),
  };
}

/** From differences of two draws, whose variance is twice that of one. */
export function spreadOf(margins: readonly number[]): number {
  const sum = margins.reduce((total, margin) => total + margin ** 2, 0);
  return margins.length > 0 ? Math.sqrt(sum / (2 * margins.length)) : 0;
}

function binOf(pairs: readonly ScoredPair[], from: number, to: number): Bin[] {
  const isIn = (confidence: number) => confidence >= from && (confidence < to || to === 1);
  const here = pairs.filter(({ margin }) => isIn(confidenceOf(margin)));
  if (here.length === 0) return [];
  const sum = here.reduce((total, { margin }) => total + confidenceOf(margin), 0);
  const right = here.filter(({ margin }) => margin > 0).length;
  return [{ from, to, pairs: here.length, confidence: sum / here.length, right: right / here.length }];
}
