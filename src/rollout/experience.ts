/**
 * A strategy that turns sampled completions into training examples, one file per method. It rates the completions and
 * provides the columns that the loss reads. The calling source does not depend on the method.
 */
import type { ColumnSpecs, ScoredRows, TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Json } from '../io/json.ts';
import type { Metrics, RolloutReport, TrainEvent } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import type { Prompt, Samples } from './sampling.ts';

export interface Experience {
  /** In the order of the prompts, with the columns that the loss reads. */
  examples: TokenizedExample[];
  /** For each example, whether its gradient is known to be zero. Such examples are counted but not computed. Default: none. */
  silent?: boolean[];
  metrics: Metrics;
  /** Per completion; null if it is unrated. */
  rewards: (number | null)[];
  /** The values of each function by name; may be omitted. */
  byFunction?: ReadonlyMap<string, readonly (number | null)[]>;
  /** Per completion. */
  advantages: number[];
  seconds: Omit<RolloutReport['seconds'], 'writing'>;
}

export interface MakeOptions {
  /** The optimizer step that uses the completions. */
  step: number;
  signal: AbortSignal | undefined;
  /** Writes a checkpoint with the maker's saved state, for answers that must not be lost. */
  keep(): Promise<void>;
}

/** Columns for a role besides the policy, and the rows that it scores. */
export interface OwnColumns {
  readonly reads: ColumnSpecs;
  readonly rows: ScoredRows;
}

export interface ExperienceMaker {
  /** Columns of the examples, as declared by the loss. */
  readonly reads: ColumnSpecs;
  /** The same for other roles, if any. */
  readonly beside?: readonly OwnColumns[];
  /** Whether each pass over a batch of completions has its own order. */
  readonly permutesPasses?: boolean;
  /** Completions per example. */
  readonly completions: number;
  /** Whether it uses the context's reference. */
  readonly usesReference: boolean;
  /** Everything that determines the result for given completions, as JSON: a part of the run's hash. */
  readonly identity: unknown;
  /** Completions of each prompt that it samples before training. */
  readonly drawnAhead?: number;
  /**
   * Computes what must be known of the prompts before a batch of completions is generated, and returns the prompts to learn
   * from; undefined if aborted. Called for every batch, and fast if everything is known.
   */
  prepare?(
    prompts: readonly Prompt[],
    context: StepContext,
    options: MakeOptions,
  ): AsyncGenerator<TrainEvent, readonly Prompt[] | undefined>;
  /** Rehearses the device work of {@link make} for such examples, on a counting device; may be omitted. */
  rehearse?(gpu: Gpu, examples: readonly TokenizedExample[], context: StepContext): void;
  /** Throws `InputError` for a faulty reward. */
  make(samples: Samples, context: StepContext, options: MakeOptions): Promise<Experience>;
  /** Additional metrics of a step, from the means of its batches and the metrics of its completions. */
  derive?(means: Metrics, metrics: Metrics): Partial<Metrics>;
  /** State for a checkpoint; undefined if there is none. */
  save?(): Json | undefined;
  /** Restores the state. Throws `InputError` if `save` did not write it. */
  restore?(saved: Json): void;
}
