/**
 * How sampled completions become examples to learn from: a strategy, one file for each method. It rates the completions and
 * gives the columns that the loss reads. The source that calls it knows no method.
 */
import type { ColumnSpecs, TokenizedExample } from '../data/packing.ts';
import type { Metrics, RolloutReport } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import type { Samples } from './sampling.ts';

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
}

export interface ExperienceMaker {
  /** Columns of the examples, as the loss declares them. */
  readonly reads: ColumnSpecs;
  /** Completions in an example. */
  readonly completions: number;
  /** Whether it asks the context's reference. */
  readonly usesReference: boolean;
  /** All that decides what is made of the same completions, as JSON: a part of the run's hash. */
  readonly identity: unknown;
  /** Throws {@link InputError} where a reward is at fault. */
  make(samples: Samples, context: StepContext, options: MakeOptions): Promise<Experience>;
}
