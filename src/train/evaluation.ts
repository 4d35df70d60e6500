/**
 * How a run is evaluated, as a strategy: by the loss on held-out rows. Metrics have TRL's names and are means
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
  /** Number of examples or prompts; 0 means no evaluation. */
  readonly length: number;
  /** Identity of the evaluation data, as JSON or a promise of it. A resumed run may use another one, which is recorded. */
  readonly identity: unknown;
  /** The examples for which a reference must be prepared. */
  readonly examples: readonly TokenizedExample[];
  /** Token ids of the held-out prompts, in row order; prompts may repeat. */
  readonly prompts: readonly TokenIds[];
  /**
   * Rewards of one completion of each of the first prompts; null if none rates it. Absent if completions have no
   * rewards.
   */
  rate?(generations: readonly Generation[], signal?: AbortSignal): Promise<readonly (number | null)[]>;
  /** The longest scored batch, for the plan. */
  largest(): readonly TokenizedExample[];
  /** Its own work by phases that do not overlap in memory: a part of the plan. */
  rehearse?(context: StepContext): readonly Rehearsal[];
  /**
   * Metrics of the current model, without the `eval_` prefix, and events in between. Undefined if the signal stopped it.
   */
  run(context: StepContext, signal?: AbortSignal): AsyncGenerator<TrainEvent, Metrics | undefined>;
}

/** The loss and its metrics on held-out rows. */
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

  /** The device works on one batch while the next is being recorded. */
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
