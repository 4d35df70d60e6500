/**
 * The job's GPU work: a DPO trainer, stories by the model of one side, and their log-probabilities.
 */

import { DPOTrainer } from 'webalign';
import { textAfter } from 'webalign/data';
import type { Around } from 'webalign/gpu';
import {
  type Generation,
  type GenerationUpdate,
  type StreamOptions,
  sampledTokens,
  sequenceLogprobs,
  streamGeneration,
} from 'webalign/models';
import { ratedWords, sentiment } from 'webalign/rollouts';

import { Host, type Machine, openMachine } from '../shared/host.ts';
import type { Assets } from './assets.ts';
import type { AlignKept } from './job.ts';
import type { ScoredText, Settings, Side } from './messages.ts';
import { loraConfig, trainingArgs } from './task.ts';

/** A story generated for an opening. */
export interface Story extends Generation {
  opening: string;
}

export class Runtime extends Host<DPOTrainer> {
  /** Throws `NoAdapterError`. */
  static async open(assets: Assets): Promise<Runtime> {
    return new Runtime(assets, await openMachine(assets.model));
  }

  private constructor(
    private readonly assets: Assets,
    machine: Machine,
  ) {
    super(machine);
  }

  /** The trainer of a run, with a new adapter on the model. Throws `InputError` for invalid settings. */
  newTrainer(settings: Settings, kept: AlignKept): DPOTrainer {
    return new DPOTrainer({
      model: this.model,
      processingClass: this.tokenizer,
      trainDataset: this.assets.train,
      evalDataset: this.assets.heldOut,
      args: trainingArgs(settings),
      peftConfig: loraConfig(settings),
      checkpoint: kept.checkpoint,
      referenceCache: kept.referenceCache,
    });
  }

  /** Streams stories for these openings. Only the side `after` uses the adapter. */
  write(side: Side, openings: readonly string[], options: StreamOptions): AsyncGenerator<GenerationUpdate[]> {
    const prompts = openings.map((opening) => this.tokenizer.encode(opening));
    return this.turns.each(streamGeneration(this.model, prompts, options), this.on(side));
  }

  /** The text of a story's new tokens after its opening, with its sentiment. */
  scored(opening: string, ids: readonly number[]): ScoredText {
    const text = textAfter(this.tokenizer, this.tokenizer.encode(opening), ids);
    return { text, score: sentiment(text), words: ratedWords(text) };
  }

  /** log π of every story under the model of one side, in nats. */
  async logprobs(side: Side, stories: readonly Story[], signal: AbortSignal): Promise<number[]> {
    const sequences = stories.map((story) => ({
      prompt: this.tokenizer.encode(story.opening),
      completion: sampledTokens(story),
    }));
    const score = () => sequenceLogprobs(this.model, sequences, { signal });
    const scores = await this.turns.run(() => this.on(side)(score));
    return scores.map((tokens) => tokens.reduce((sum, value) => sum + value, 0));
  }

  /** Wraps work with the model of one side: before training, without the adapter. */
  private on(side: Side): Around {
    return side === 'after' ? (work) => work() : this.asItWas;
  }
}
