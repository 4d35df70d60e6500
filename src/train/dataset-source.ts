/**
 * A data set as the source of examples: a fixed list in an order that is a function of seed and epoch. It never waits and
 * has no state in a checkpoint.
 */
import { hashOfExamples } from '../data/example-hash.ts';
import type { TokenizedExample } from '../data/packing.ts';
import { InputError } from '../io/errors.ts';
import type { TrainingConfig } from './config.ts';
import type { TrainEvent } from './events.ts';
import { examplesOfStep, firstSteps, largestOfSteps, type Order, stepsPerEpoch } from './order.ts';
import { bySize, type ExampleSource, type SourcedStep, sizeOf } from './source.ts';

export class DatasetSource implements ExampleSource {
  readonly waits = false;
  readonly batchSize: number;
  private readonly order: Order;
  private hash: Promise<string> | undefined;

  /** `keepsOrder`: the order is part of the data. Throws {@link InputError} for an empty list. */
  constructor(
    private readonly examples: readonly TokenizedExample[],
    { perDeviceTrainBatchSize, gradientAccumulationSteps, seed, shuffleDataset }: TrainingConfig,
    { keepsOrder = false } = {},
  ) {
    if (examples.length === 0) throw new InputError('training data', 'has no rows', 'Give at least one row');
    this.batchSize = perDeviceTrainBatchSize;
    this.order = {
      examples: examples.length,
      stepSize: perDeviceTrainBatchSize * gradientAccumulationSteps,
      seed,
      shuffle: shuffleDataset && !keepsOrder,
    };
  }

  /** A hash of token ids and columns. */
  get identity(): Promise<string> {
    this.hash ??= hashOfExamples(this.examples);
    return this.hash;
  }

  get length(): number {
    return this.examples.length;
  }

  get stepsPerEpoch(): number {
    return stepsPerEpoch(this.order);
  }

  /** All of them, unless the run is shorter than an epoch. */
  ahead(steps: number): readonly TokenizedExample[] {
    if (steps >= this.stepsPerEpoch) return this.examples;
    const taken = new Set<number>();
    for (const places of firstSteps(this.order, steps)) for (const i of places) taken.add(i);
    return this.examples.filter((_, i) => taken.has(i));
  }

  largest(count: number, steps: number): readonly TokenizedExample[] {
    const sizes = this.examples.map(sizeOf);
    const places = largestOfSteps(this.order, { sizes, count, steps });
    return places.map((i) => this.examples[i]);
  }

  shortest(count: number): readonly TokenizedExample[] {
    return bySize(this.examples).slice(-count);
  }

  async *step(step: number): AsyncGenerator<TrainEvent, SourcedStep> {
    const places = [...examplesOfStep(this.order, step)];
    return { examples: places.map((i) => this.examples[i]) };
  }

  /** The step number determines everything. */
  save(): undefined {}

  restore(): void {}
}
