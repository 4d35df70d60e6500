/**
 * Which examples an optimizer step takes: a function of the step, the seed and the sizes, so that a resumed run finds
 * its place without a saved position.
 */
import { shuffle } from '../data/random.ts';

export interface Order {
  examples: number;
  /** Examples of one optimizer step. */
  stepSize: number;
  seed: number;
  shuffle: boolean;
}

/** Optimizer steps of one epoch; the last one takes what is left. */
export function stepsPerEpoch({ examples, stepSize }: Order): number {
  return Math.ceil(examples / stepSize);
}

/** The examples of a step, counted from 1. Every epoch has an order of its own. */
export function examplesOfStep(order: Order, step: number): Uint32Array {
  const perEpoch = stepsPerEpoch(order);
  const epoch = Math.floor((step - 1) / perEpoch);
  const place = (step - 1) % perEpoch;
  const permutation = order.shuffle
    ? shuffle(order.examples, order.seed, epoch + 1)
    : Uint32Array.from({ length: order.examples }, (_, i) => i);
  return permutation.subarray(place * order.stepSize, (place + 1) * order.stepSize);
}
