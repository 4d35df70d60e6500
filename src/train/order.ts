/**
 * The examples of an optimizer step: a function of the step, the seed and the sizes, so that a resumed run finds
 * its position without a saved one.
 */
import { shuffle } from '../data/random.ts';

export interface Order {
  examples: number;
  /** Examples of one optimizer step. */
  stepSize: number;
  seed: number;
  shuffle: boolean;
}

/** Optimizer steps per epoch; the last one takes the remainder. */
export function stepsPerEpoch({ examples, stepSize }: Order): number {
  return Math.ceil(examples / stepSize);
}

/** The examples of the first steps, one list each; the order of an epoch is computed once. */
export function* firstSteps(order: Order, steps: number): Generator<Uint32Array> {
  const perEpoch = stepsPerEpoch(order);
  for (let first = 0; first < steps; first += perEpoch) {
    const permutation = permutationOf(order, first / perEpoch);
    const count = Math.min(perEpoch, steps - first);
    for (let place = 0; place < count; place++)
      yield permutation.subarray(place * order.stepSize, (place + 1) * order.stepSize);
  }
}

/** Number of epochs that are searched for the largest batch. */
const MOST_EPOCHS = 16;

/**
 * The batch with the most tokens among those of the first steps, of `count` examples each; `sizes` are those of the
 * examples. For very long runs only the first epochs are searched.
 */
export function largestOfSteps(
  order: Order,
  { sizes, count, steps }: { sizes: readonly number[]; count: number; steps: number },
): number[] {
  let largest: Uint32Array = new Uint32Array(0);
  let most = 0;
  for (const places of firstSteps(order, Math.min(steps, MOST_EPOCHS * stepsPerEpoch(order))))
    for (let start = 0; start < places.length; start += count) {
      const batch = places.subarray(start, start + count);
      const size = batch.reduce((sum, i) => sum + sizes[i], 0);
      if (size > most) [largest, most] = [batch, size];
    }
  return [...largest];
}

/** The examples of a step, counted from 1. Every epoch has its own order. */
export function examplesOfStep(order: Order, step: number): Uint32Array {
  const perEpoch = stepsPerEpoch(order);
  const epoch = Math.floor((step - 1) / perEpoch);
  const place = (step - 1) % perEpoch;
  return permutationOf(order, epoch).subarray(place * order.stepSize, (place + 1) * order.stepSize);
}

/** The order of an epoch, counted from 0. */
function permutationOf({ examples, seed, shuffle: isShuffled }: Order, epoch: number): Uint32Array {
  return isShuffled
    ? shuffle(examples, seed, epoch + 1)
    : Uint32Array.from({ length: examples }, (_, i) => i);
}
