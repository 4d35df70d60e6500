/**
 * The GPU and what lives on it: the model, and the trainer of the run under way with its adapter. When the device is
 * lost all of it is gone, and {@link Runtime.renew} builds it again from memory; the run then goes on from its
 * checkpoint.
 */
import { textAfter } from '../../src/cli/continuations.ts';
import { ratedWords, sentiment } from '../../src/data/sentiment.ts';
import {
  type Around,
  CausalLM,
  DPOTrainer,
  type Generation,
  type GenerationUpdate,
  type Gpu,
  type LoadOptions,
  requestGpu,
  type StreamOptions,
  sampledTokens,
  sequenceLogprobs,
  streamGeneration,
  Tokenizer,
  Turns,
} from '../../src/index.ts';
import type { Assets } from './assets.ts';
import type { Kept } from './kept.ts';
import type { ScoredText, Settings, Side } from './messages.ts';
import { loraConfig, trainingArgs } from './task.ts';

/** A browser starts its GPU process again in about a second. */
const RENEWALS = 10;
const RENEWAL_PAUSE = 500;

/** The model takes 3 MiB in float32, and is read faster so where no GPU helps. */
const LOADING: LoadOptions = { dtype: 'float32' };

/** What was written on an opening. */
export interface Story extends Generation {
  opening: string;
}

export class Runtime {
  readonly turns = new Turns();
  trainer: DPOTrainer | undefined;

  private constructor(
    private readonly assets: Assets,
    private readonly tokenizer: Tokenizer,
    public gpu: Gpu,
    public model: CausalLM,
  ) {}

  /** Throws `NoAdapterError`. */
  static async open(assets: Assets): Promise<Runtime> {
    const gpu = await requestGpu();
    const [tokenizer, model] = await Promise.all([
      Tokenizer.fromFiles(assets.model),
      CausalLM.load(gpu, assets.model, LOADING),
    ]);
    return new Runtime(assets, tokenizer, gpu, model);
  }

  /** A new device with the model on it, in place of one that is lost. */
  async renew(): Promise<void> {
    this.trainer = undefined;
    for (let tries = 1; ; tries++) {
      // The lost one, or one on which the model could not be loaded.
      this.gpu.dispose();
      try {
        this.gpu = await requestGpu();
        this.model = await CausalLM.load(this.gpu, this.assets.model, LOADING);
        return;
      } catch (error) {
        if (tries === RENEWALS) throw error;
        await new Promise((resolve) => setTimeout(resolve, RENEWAL_PAUSE));
      }
    }
  }

  /** The trainer of a run, with a fresh adapter on the model. Throws `InputError` for settings that make no sense. */
  createTrainer(settings: Settings, kept: Kept): DPOTrainer {
    this.removeTrainer();
    this.trainer = new DPOTrainer({
      model: this.model,
      processingClass: this.tokenizer,
      trainDataset: this.assets.train,
      evalDataset: this.assets.heldOut,
      args: trainingArgs(settings),
      peftConfig: loraConfig(settings),
      checkpoint: kept.checkpoint,
      referenceCache: kept.referenceCache,
    });
    return this.trainer;
  }

  removeTrainer(): void {
    if (!this.trainer) return;
    this.trainer.dispose();
    if (this.trainer.adapter) this.model.detach(this.trainer.adapter);
    this.trainer = undefined;
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
    const adapter = this.trainer?.adapter;
    if (!adapter || side === 'after') return (work) => work();
    return (work) => this.model.without([adapter], work);
  }
}
