/**
 * How sampled completions become examples to learn from: a strategy, one file for each method. It rates the completions and
 * gives the columns that the loss reads. The source that calls it knows no method.
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
  /** For each example, whether its gradient is known to be zero. It is then counted and not computed; none where left out. */
  silent?: boolean[];
  metrics: Metrics;
  /** Per completion; null where no function rated it. */
  rewards: (number | null)[];
  /** What each function gave, by its name; nothing where it is left out. */
  byFunction?: ReadonlyMap<string, readonly (number | null)[]>;
  /** Per completion. */
  advantages: number[];
  seconds: Omit<RolloutReport['seconds'], 'writing'>;
}

export interface MakeOptions {
  /** The optimizer step that the completions are for. */
  step: number;
  signal: AbortSignal | undefined;
  /** Writes a checkpoint that holds what the maker saves, for answers that must not be lost. */
  keep(): Promise<void>;
}

/** Columns for what learns beside the policy, and the rows that it scores. */
export interface OwnColumns {
  readonly reads: ColumnSpecs;
  readonly rows: ScoredRows;
}

export interface ExperienceMaker {
  /** Columns of the examples, as the loss declares them. */
  readonly reads: ColumnSpecs;
  /** The same for the roles beside the policy, where there are any. */
  readonly beside?: readonly OwnColumns[];
  /** Whether each pass over a batch of completions has an order of its own. */
  readonly permutesPasses?: boolean;
  /** Completions in an example. */
  readonly completions: number;
  /** Whether it asks the context's reference. */
  readonly usesReference: boolean;
  /** All that decides what is made of the same completions, as JSON: a part of the run's hash. */
  readonly identity: unknown;
  /** Completions of each prompt that it draws before training. */
  readonly drawnAhead?: number;
  /**
   * What must be known of the prompts before a batch of completions is written: the prompts to learn from; undefined where the
   * signal ended it. Called for every batch, and quick where all is known.
   */
  prepare?(
    prompts: readonly Prompt[],
    context: StepContext,
    options: MakeOptions,
  ): AsyncGenerator<TrainEvent, readonly Prompt[] | undefined>;
  /** What {@link make} does on the device with such examples, on one that only counts; nothing where it is left out. */
  rehearse?(gpu: Gpu, examples: readonly TokenizedExample[], context: StepContext): void;
  /** Throws `InputError` where a reward is at fault. */
  make(samples: Samples, context: StepContext, options: MakeOptions): Promise<Experience>;
  /** Further figures of a step: of the means of its batches and the metrics of its completions. */
  derive?(means: Metrics, metrics: Metrics): Partial<Metrics>;
  /** What a checkpoint keeps of it; undefined for nothing. */
  save?(): Json | undefined;
  /** Takes it back. Throws `InputError` for what it has not written. */
  restore?(saved: Json): void;
}
