/**
 * The comparison in a report: the model's texts for held-out prompts and its values for held-out rows, before
 * and after training, with the same random numbers. Observes a run without changing it. Reports what cannot be measured,
 * and never ends the run.
 */
import { mean } from '../../base/mean.ts';
import { DeviceLostError } from '../../gpu/errors.ts';
import { reason } from '../../io/errors.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import { type Generation, generate, sampledTokens } from '../../model/generation.ts';
import type { TrainEvent } from '../../train/events.ts';
import { distinct } from '../../train/measures/sample-figures.ts';
import { sequenceLogprobs } from '../../train/measures/sequence-logprobs.ts';
import type { CompletionScore } from '../../train/role-scores.ts';
import type { Trainer } from '../../train/trainer.ts';

/** Tokens of a text, if the method has no completion length. */
const MOST_TOKENS = 40;
/** A held-out text without a prompt contributes at most this many tokens as a prompt. */
const OPENING_TOKENS = 16;
/** Number of held-out rows whose completions are scored. */
const MOST_ROWS = 64;

/** The state of the model at one time. */
export interface Measured {
  /** One text per prompt. */
  texts: readonly Generation[];
  /** The reward of each text, if the method has one. */
  rewards: readonly (number | null)[] | undefined;
  /** Scores of the completions of held-out rows. */
  scores: readonly CompletionScore[];
}

/** Statistics of several texts. */
export interface TextFigures {
  /** Mean log-probability per token under the untrained model, nats; undefined if that model no longer exists. */
  fluency: number | undefined;
  /** Share of distinct trigrams; undefined if no text has three tokens. */
  distinct3: number | undefined;
  /** Mean number of tokens per text, including the end token. */
  length: number;
  /** Share of the texts that ended with an end token. */
  ended: number;
}

export interface Comparison {
  /** Token ids. */
  prompts: readonly (readonly number[])[];
  before: Measured;
  after: Measured;
  /** Statistics of the texts before and after; undefined without texts. */
  figures: { before: TextFigures; after: TextFigures } | undefined;
}

export interface BeforeAfterOptions {
  /** Number of texts to write. */
  samples: number;
  /** Whether the model writes text at all. */
  writes: boolean;
  /** Whether the model without the adapter in training is the initial model. */
  beganWithout: boolean;
  signal: AbortSignal;
}

export class BeforeAfter {
  /** Time of the measurements, which does not count as the run's. */
  seconds = 0;
  /** Why there is no comparison. */
  problem: string | undefined;
  private prompts: (readonly number[])[] = [];
  private before: Measured | undefined;
  private found: Comparison | undefined;

  constructor(
    private readonly model: CausalLM,
    private readonly options: BeforeAfterOptions,
  ) {}

  /** Undefined until the run is complete, and if something could not be measured. */
  get comparison(): Comparison | undefined {
    return this.found;
  }

  /** Measures at the first and at the last event of a run. */
  async see(event: TrainEvent, trainer: Trainer): Promise<void> {
    if (event.type === 'start') await this.timed(() => this.begin(trainer));
    if (event.type === 'end' && event.completed) await this.timed(() => this.end(trainer));
  }

  private async begin(trainer: Trainer): Promise<void> {
    const { samples, writes } = this.options;
    this.prompts = writes ? openings(trainer, this.model, samples) : [];
    this.before = await this.measure(trainer);
  }

  private async end(trainer: Trainer): Promise<void> {
    const { prompts, before } = this;
    if (!before) return;
    const after = await this.measure(trainer);
    const figures = prompts.length > 0 ? await this.figures(trainer, before, after) : undefined;
    this.found = { prompts, before, after, figures };
  }

  private async measure(trainer: Trainer): Promise<Measured> {
    const { prompts, model } = this;
    const { signal } = this.options;
    const { seed } = trainer.config;
    const maxNewTokens = tokensOf(trainer, model);
    const texts = prompts.length > 0 ? await generate(model, prompts, { maxNewTokens, seed, signal }) : [];
    const rewards = texts.length > 0 ? await trainer.evaluation.rate?.(texts, signal) : undefined;
    return { texts, rewards, scores: await trainer.heldOutScores(MOST_ROWS) };
  }

  private async figures(
    { adapter }: Trainer,
    before: Measured,
    after: Measured,
  ): Promise<NonNullable<Comparison['figures']>> {
    const { prompts, model } = this;
    const all = [before, after].flatMap(({ texts }) => texts.map(sampledTokens));
    const sequences = all.map((completion, i) => ({
      prompt: [...prompts[i % prompts.length]],
      completion,
    }));
    const { beganWithout, signal } = this.options;
    const scored =
      adapter && beganWithout
        ? await model.without([adapter], () => sequenceLogprobs(model, sequences, { signal }))
        : undefined;
    const of = ({ texts }: Measured, first: number): TextFigures => ({
      fluency: scored && mean(scored.slice(first, first + texts.length).flatMap((values) => [...values])),
      distinct3: distinct(texts.map(sampledTokens), 3),
      length: mean(texts.map((text) => sampledTokens(text).length)),
      ended: texts.filter(({ finished }) => finished === 'eos').length / texts.length,
    });
    return { before: of(before, 0), after: of(after, prompts.length) };
  }

  private async timed(work: () => Promise<void>): Promise<void> {
    const started = performance.now();
    // Neither may hold the other's buffers, so that a run needs only the larger of the two.
    const { pool } = this.model.gpu;
    pool.trim();
    try {
      await work();
    } catch (error) {
      if (error instanceof DeviceLostError) throw error;
      this.problem = this.options.signal.aborted ? 'it was stopped' : reason(error);
    } finally {
      pool.trim();
      this.seconds += (performance.now() - started) / 1000;
    }
  }
}

/** The first distinct prompts that leave room for a completion; with rewards, simply the first rows. */
function openings(trainer: Trainer, model: CausalLM, most: number): (readonly number[])[] {
  const { prompts, examples, rate } = trainer.evaluation;
  if (rate) return prompts.slice(0, most).map((prompt) => [...prompt]);
  const room = model.config.maxPositionEmbeddings - tokensOf(trainer, model);
  const different = new Map<string, readonly number[]>();
  for (const [i, prompt] of prompts.entries()) {
    const text = examples[i]?.completions[0] ?? [];
    const more = prompt.length > 1 ? [] : text.slice(0, Math.min(OPENING_TOKENS, text.length >> 1));
    const opening = [...prompt, ...more];
    if (opening.length > 0 && opening.length <= room) different.set(opening.join(' '), opening);
    if (different.size >= most) break;
  }
  return [...different.values()].slice(0, most);
}

/** Number of new tokens of a text. */
function tokensOf({ config }: Trainer, model: CausalLM): number {
  const { maxCompletionLength } = config as { maxCompletionLength?: number };
  return maxCompletionLength ?? Math.min(MOST_TOKENS, model.config.maxPositionEmbeddings >> 1);
}
