/**
 * Where the examples of a step come from: a data set, completions that the model has just written, a person who judges.
 * Only types. A source is one file; the trainer does not depend on its kind.
 */

import type { TokenizedExample } from '../data/packing.ts';
import type { Rehearsal } from '../gpu/rehearsal.ts';
import type { Json } from '../io/json.ts';
import type { Metrics, TrainEvent } from './events.ts';
import type { StepContext } from './step.ts';

/** The examples of an optimizer step. */
export interface SourcedStep {
  examples: readonly TokenizedExample[];
  /** Examples of the step with zero loss and gradient: counted in its means, but not computed. */
  silent?: readonly TokenizedExample[];
  /** Lengths of all completions written together with these, for losses that divide by their mean; default: the step's. */
  lengths?: readonly number[];
  /** Metrics of the examples themselves, logged with the step: rewards, lengths. */
  metrics?: Metrics;
  /** Further metrics, derived from the means of the step's batches; undefined ones are left out. */
  derive?(means: Metrics): Partial<Metrics>;
}

export interface ExampleSource {
  /** Examples or prompts per epoch. */
  readonly length: number;
  /** Examples per micro-batch: an example is never split, so that a group shares its prompt. */
  readonly batchSize: number;
  /** Optimizer steps per epoch. */
  readonly stepsPerEpoch: number;
  /** Whether a step may wait, for texts or for a person. Metrics of earlier steps are then reported first. */
  readonly waits: boolean;
  /** Whether it computes the context's reference itself, for a KL in the rewards. */
  readonly usesReference?: boolean;
  /** Everything that determines the examples, as JSON or a promise of it: a part of the run's hash. */
  readonly identity: unknown;
  /** The examples of so many steps, if they are known before training; undefined if they are made during the run. */
  ahead(steps: number): readonly TokenizedExample[] | undefined;
  /** The longest micro-batch of so many examples within so many steps, for the plan. */
  largest(count: number, steps: number): readonly TokenizedExample[];
  /** The shortest one; its shapes may be of other classes. */
  shortest(count: number): readonly TokenizedExample[];
  /** The source's own work within so many steps, by phases that do not overlap in memory: a part of the plan. */
  rehearse?(context: StepContext, steps: number): readonly Rehearsal[];
  /**
   * The examples of an optimizer step, counted from 1, and events in between. One batch of rollouts may be used for several steps;
   * only the first waits. Undefined if the signal ended the wait: the step is then not taken. `keep` writes a checkpoint
   * with what {@link save} gives, for what must not be lost while the step is waited for.
   */
  step(
    step: number,
    context: StepContext,
    signal?: AbortSignal,
    keep?: () => Promise<void>,
  ): AsyncGenerator<TrainEvent, SourcedStep | undefined>;
  /** Its state for a checkpoint, so that later steps get the same examples; undefined for no state. */
  save(): Json | undefined;
  /** Restores the state. Throws `InputError` for a state that it has not written. */
  restore(saved: Json | undefined): void;
}

/** The number of tokens of an example, with its prompt counted once. */
export function sizeOf({ prompt, completions }: TokenizedExample): number {
  return completions.reduce((n, { length }) => n + length, prompt.length);
}

/** The longest of some examples first, each with all of its tokens as targets. */
export function bySize(examples: readonly TokenizedExample[]): TokenizedExample[] {
  return examples.map(withAllTargets).sort((a, b) => sizeOf(b) - sizeOf(a));
}

/** Of examples taken `size` at a time, in order, the batch with the most tokens. */
export function largestBatch(examples: readonly TokenizedExample[], size: number): TokenizedExample[] {
  let [start, most] = [0, 0];
  for (let first = 0; first < examples.length; first += size) {
    const tokens = examples.slice(first, first + size).reduce((sum, example) => sum + sizeOf(example), 0);
    if (tokens > most) [start, most] = [first, tokens];
  }
  return examples.slice(start, start + size).map(withAllTargets);
}

/** A plan must fit any choice of learned tokens. */
function withAllTargets({ targets: _, ...whole }: TokenizedExample): TokenizedExample {
  return whole;
}
