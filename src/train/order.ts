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

/** The examples of the first steps, a list for each; the order of an epoch is made once. */
export function* firstSteps(order: Order, steps: number): Generator<Uint32Array> {
  const perEpoch = stepsPerEpoch(order);
  for (let first = 0; first < steps; first += perEpoch) {
    const permutation = permutationOf(order, first / perEpoch);
    const count = Math.min(perEpoch, steps - first);
    for (let place = 0; place < count; place++)
      yield permutation.subarray(place * order.stepSize, (place + 1) * order.stepSize);
  }
}

/** Epochs of which the batches are looked at for the largest. */
const MOST_EPOCHS = 16;

/**
 * Of the batches of `count` examples that the first steps are cut into, the one of most tokens; `sizes` are those of the
 * examples. Very long runs are looked at for their first epochs.
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
      const size = batch.reduce((sum, i) => sum + (sizes[i] as number), 0);
      if (size > most) [largest, most] = [batch, size];
    }
  return [...largest];
}

/** The examples of a step, counted from 1. Every epoch has an order of its own. */
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
