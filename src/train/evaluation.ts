/**
 * How a run is judged while it trains, as a strategy: by the loss on rows held out. Metrics have TRL's names and are means
 * over examples.
 */

import { hashOfExamples } from '../data/example-hash.ts';
import type { TokenizedExample } from '../data/packing.ts';
import type { TokenIds } from '../data/token-ids.ts';
import type { Rehearsal } from '../gpu/rehearsal.ts';
import type { Generation } from '../model/generation.ts';
import type { Metrics, TrainEvent } from './events.ts';
import { joinMeans } from './metrics.ts';
import { largestBatch } from './source.ts';
import { runBatch, type StepContext } from './step.ts';

export interface Evaluation {
  /** Examples, or prompts; 0 evaluates nothing. */
  readonly length: number;
  /** What it is judged on, as JSON or a promise of it. A run may go on with another, which is recorded. */
  readonly identity: unknown;
  /** What a reference is to be prepared for. */
  readonly examples: readonly TokenizedExample[];
  /** Token ids of the prompts held out, in the order of the rows; one may stand more than once. */
  readonly prompts: readonly TokenIds[];
  /**
   * What one completion of each of the first prompts earns, null where nothing rates it. Left out where completions earn
   * nothing.
   */
  rate?(generations: readonly Generation[], signal?: AbortSignal): Promise<readonly (number | null)[]>;
  /** The longest batch that is scored, for the plan. */
  largest(): readonly TokenizedExample[];
  /** Its own work by its phases, of which one is in memory at a time: a part of the plan. */
  rehearse?(context: StepContext): readonly Rehearsal[];
  /**
   * Metrics of the model as it stands, without the `eval_` prefix, and events on the way. Undefined where the signal ended it.
   */
  run(context: StepContext, signal?: AbortSignal): AsyncGenerator<TrainEvent, Metrics | undefined>;
}

/** The loss, and what it logs, on rows that are not trained on. */
export class LossEvaluation implements Evaluation {
  private hash: Promise<string> | undefined;

  constructor(
    readonly examples: readonly TokenizedExample[],
    private readonly batchSize: number,
  ) {}

  get length(): number {
    return this.examples.length;
  }

  get identity(): Promise<string> {
    this.hash ??= hashOfExamples(this.examples);
    return this.hash;
  }

  get prompts(): readonly TokenIds[] {
    return this.examples.map(({ prompt }) => prompt);
  }

  largest(): readonly TokenizedExample[] {
    return largestBatch(this.examples, this.batchSize);
  }

  /** The device works on a batch while the next is being recorded. */
  async *run(context: StepContext): AsyncGenerator<TrainEvent, Metrics> {
    const { gpu } = context.model;
    const parts = [];
    for (let start = 0; start < this.length; start += this.batchSize) {
      const { means } = runBatch(gpu, context, this.examples.slice(start, start + this.batchSize));
      means.catch(() => undefined); // awaited below
      parts.push(means);
      await gpu.settle(gpu.recorder.throttle());
    }
    return joinMeans(await gpu.settle(Promise.all(parts)));
  }
}
