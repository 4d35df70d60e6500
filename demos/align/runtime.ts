/**
 * What the job asks of the GPU: a trainer of DPO, stories by one side's model, and how likely that finds them.
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

/** What was written on an opening. */
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

  /** The trainer of a run, with a fresh adapter on the model. Throws `InputError` for settings that make no sense. */
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

  /** Stories on these openings, as they are written. The adapter is used on the side `after` alone. */
  write(side: Side, openings: readonly string[], options: StreamOptions): AsyncGenerator<GenerationUpdate[]> {
    const prompts = openings.map((opening) => this.tokenizer.encode(opening));
    return this.turns.each(streamGeneration(this.model, prompts, options), this.on(side));
  }

  /** What a story's new tokens say after its opening, and how glad or sad it is. */
  scored(opening: string, ids: readonly number[]): ScoredText {
    const text = textAfter(this.tokenizer, this.tokenizer.encode(opening), ids);
    return { text, score: sentiment(text), words: ratedWords(text) };
  }

  /** log π of every story under one side's model, in nats. */
  async logprobs(side: Side, stories: readonly Story[], signal: AbortSignal): Promise<number[]> {
    const sequences = stories.map((story) => ({
      prompt: this.tokenizer.encode(story.opening),
      completion: sampledTokens(story),
    }));
    const score = () => sequenceLogprobs(this.model, sequences, { signal });
    const scores = await this.turns.run(() => this.on(side)(score));
    return scores.map((tokens) => tokens.reduce((sum, value) => sum + value, 0));
  }

  /** Work by one side's model: before training the adapter does not count. */
  private on(side: Side): Around {
    return side === 'after' ? (work) => work() : this.asItWas;
  }
}
