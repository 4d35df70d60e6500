/**
 * Where the examples of a step come from: a data set, completions that the model has just written, a person who judges.
 * Types alone. A source is one file; the trainer asks nothing about its kind.
 */

import type { TokenizedExample } from '../data/packing.ts';
import type { Rehearsal } from '../gpu/rehearsal.ts';
import type { Json } from '../io/json.ts';
import type { Metrics, TrainEvent } from './events.ts';
import type { StepContext } from './step.ts';

/** What an optimizer step is given. */
export interface SourcedStep {
  examples: readonly TokenizedExample[];
  /** Examples of the step whose loss and gradient are zero: counted in its means, and not computed. */
  silent?: readonly TokenizedExample[];
  /** Lengths of all completions written together with these, where a loss divides by their mean; the step's by default. */
  lengths?: readonly number[];
  /** Figures of the examples themselves, logged with the step: rewards, lengths. */
  metrics?: Metrics;
  /** Further figures, made of the means of the step's batches; one that is undefined is left out. */
  derive?(means: Metrics): Partial<Metrics>;
}

export interface ExampleSource {
  /** Examples, or prompts, of an epoch. */
  readonly length: number;
  /** Examples of a micro-batch: an example is never cut, so that a group shares its prompt. */
  readonly batchSize: number;
  /** Optimizer steps of an epoch. */
  readonly stepsPerEpoch: number;
  /** Whether a step may wait, for texts or for a person. Metrics of the steps before are told first. */
  readonly waits: boolean;
  /** Whether it asks the context's reference itself, for a KL in the rewards. */
  readonly usesReference?: boolean;
  /** All that decides which examples come, as JSON or a promise of it: a part of the run's hash. */
  readonly identity: unknown;
  /** The examples of so many steps, where they are known ahead; undefined where they are made on the way. */
  ahead(steps: number): readonly TokenizedExample[] | undefined;
  /** The longest micro-batch of so many examples that may come within so many steps, for the plan. */
  largest(count: number, steps: number): readonly TokenizedExample[];
  /** The shortest one, whose shapes may be of other classes. */
  shortest(count: number): readonly TokenizedExample[];
  /** The source's own work by its phases, of which one is in memory at a time, within so many steps: a part of the plan. */
  rehearse?(context: StepContext, steps: number): readonly Rehearsal[];
  /**
   * The examples of an optimizer step, counted from 1, and events on the way. One batch of rollouts may serve several steps:
   * it is waited for once. Undefined where the signal ended the wait: the step is not taken then. `keep` writes a checkpoint
   * with what {@link save} gives, for what must not be lost while the step is waited for.
   */
  step(
    step: number,
    context: StepContext,
    signal?: AbortSignal,
    keep?: () => Promise<void>,
  ): AsyncGenerator<TrainEvent, SourcedStep | undefined>;
  /** What a checkpoint keeps of it, so that the steps after it get the same examples; undefined for nothing. */
  save(): Json | undefined;
  /** Takes it back. Throws `InputError` for what it has not written. */
  restore(saved: Json | undefined): void;
}

/** The tokens of an example, its prompt counted once. */
export function sizeOf({ prompt, completions }: TokenizedExample): number {
  return completions.reduce((n, { length }) => n + length, prompt.length);
}

/** The longest of some examples first, each with all of its tokens as targets. */
export function bySize(examples: readonly TokenizedExample[]): TokenizedExample[] {
  return examples.map(withAllTargets).sort((a, b) => sizeOf(b) - sizeOf(a));
}

/** Of examples that are taken `size` at a time, in their order, the batch of most tokens. */
export function largestBatch(examples: readonly TokenizedExample[], size: number): TokenizedExample[] {
  let [start, most] = [0, 0];
  for (let first = 0; first < examples.length; first += size) {
    const tokens = examples.slice(first, first + size).reduce((sum, example) => sum + sizeOf(example), 0);
    if (tokens > most) [start, most] = [first, tokens];
  }
  return examples.slice(start, start + size).map(withAllTargets);
}

/** A plan must fit whatever is learned of an example. */
function withAllTargets({ targets: _, ...whole }: TokenizedExample): TokenizedExample {
  return whole;
}
