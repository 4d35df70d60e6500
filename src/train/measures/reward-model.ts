/**
 * A reward model: a decoder with an adapter, or with its own weights, and a scalar head on the last token (as in transformers' models
 * for sequence classification). Scores texts or token ids, and rates completions of a policy, whose base it can share.
 */
import type { Message } from '../../data/chat-template.ts';
import { encodeSequence } from '../../data/comparison-dataset.ts';
import { packExamples, type TokenizedExample, type TokenizedSequence } from '../../data/packing.ts';
import { upToScored } from '../../data/scored-token.ts';
import { encodeWithEos } from '../../data/tokenize-completions.ts';
import { requireTokenIds, Tokenizer } from '../../data/tokenizer.ts';
import type { Gpu } from '../../gpu/device.ts';
import { InputError } from '../../io/errors.ts';
import type { Adapter } from '../../io/peft.ts';
import { SCORE_HEAD } from '../../io/peft-head.ts';
import { openSource, type Source, type SourceOptions } from '../../io/sources.ts';
import { DeviceBatch } from '../../model/batch.ts';
import { CausalLM } from '../../model/causal-lm.ts';
import { readHead } from '../../model/classifier.ts';
import { LoraAdapter } from '../../model/lora.ts';
import type { LoadDtype } from '../../model/precision.ts';
import { Tape } from '../../tensor/tape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { type ScoredToken, skippedToken } from '../scored-token.ts';
import { scalarRows } from '../scorer.ts';
import { BATCH_TOKENS, inBatches, largestOf } from './sequence-logprobs.ts';

/** A whole text or a conversation; EOS is appended to text. Or token ids, which are used unchanged. */
export type ScoreInput =
  | string
  | { prompt: string | readonly Message[]; completion: string | readonly Message[] }
  | { messages: readonly Message[] }
  | { ids: readonly number[] };

export interface RewardModelOptions {
  /** Needed for texts. */
  tokenizer?: Tokenizer | undefined;
  /** Which token is scored; default `auto`. It must be the one that the model was trained with. */
  scoredToken?: ScoredToken;
  /** The name of its metrics; default: the last part of the model's name. */
  name?: string;
}

export interface LoadRewardOptions extends RewardModelOptions, SourceOptions {
  /** The adapter of a reward model on a base; without one, `source` is a reward model with its own head. */
  adapter?: Adapter | undefined;
  dtype?: LoadDtype;
}

export interface RewardScoreOptions {
  /** Maximum tokens per batch, default 2048; a longer sequence gets its own batch. */
  batchTokens?: number;
  /** Stops with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Receives the number of scored sequences. */
  onProgress?: (done: number, total: number) => void;
}

/** The part of a policy's batch of completions that a rating needs; a `RewardBatch` has it. */
interface RatedBatch {
  prompts: readonly (string | readonly Message[])[];
  completions: readonly (string | readonly Message[])[];
  promptIds: readonly (readonly number[])[];
  completionIds: readonly (readonly number[])[];
  tokenizer: Tokenizer;
}

/** The parts of a reward model, and which of them it owns. */
interface Parts {
  model: CausalLM;
  adapters: readonly LoraAdapter[];
  head: Tensor;
  free(): void;
}

export class RewardModel {
  readonly name: string;
  readonly tokenizer: Tokenizer | undefined;
  /** The token id that is skipped at the end of a sequence; undefined if the last token is scored. */
  readonly padTokenId: number | undefined;
  /** Cached results of whether another tokenizer's ids mean the same here. */
  private readonly alike = new WeakMap<Tokenizer, boolean>();

  private constructor(
    private readonly parts: Parts,
    { tokenizer, scoredToken = 'auto', name }: RewardModelOptions,
  ) {
    const { model } = parts;
    const { eosTokenIds } = model.config;
    this.tokenizer = tokenizer;
    this.name = name ?? lastPart(model.name);
    this.padTokenId = skippedToken(scoredToken, { tokenizer, modelPadId: model.padTokenId, eosTokenIds });
    requireHead(parts.head, model);
  }

  /** Loads a separate reward model. Throws {@link InputError} for a model or an adapter without a head. */
  static async load(
    gpu: Gpu,
    source: Source,
    { adapter, dtype = 'auto', tokenizer, scoredToken = 'auto', name, ...options }: LoadRewardOptions = {},
  ): Promise<RewardModel> {
    const files = await openSource(source, options);
    const values = adapter ? adapterHead(adapter, name) : await readHead(files);
    const own =
      tokenizer ?? ((await files.exists('tokenizer.json')) ? await Tokenizer.fromFiles(files) : undefined);
    const model = await CausalLM.load(gpu, files, { dtype, headless: true });
    const adapters = adapter ? [model.attach(adapter)] : [];
    const head = adapters[0]?.head ?? Tensor.from(gpu, values, [1, values.length], SCORE_HEAD, 'weights');
    const free = () => {
      if (adapters.length === 0) gpu.pool.release(head);
      model.dispose();
    };
    const settings = { tokenizer: own, scoredToken, ...(name !== undefined && { name }) };
    return new RewardModel({ model, adapters, head, free }, settings);
  }

  /**
   * A reward model that shares the base of `model`: the base is not copied, and the adapter is on only while it scores. An
   * adapter in training scores with its current weights. Throws {@link InputError} for an adapter without a head, and for a base that trains.
   */
  static on(model: CausalLM, adapter: Adapter | LoraAdapter, options: RewardModelOptions = {}): RewardModel {
    if (model.parameters) {
      const wayOut = 'Load a separate reward model: RewardModel.load(gpu, source, { adapter })';
      throw new InputError(model.name, 'trains all of its weights, which would change the scores', wayOut);
    }
    const isOurs = !(adapter instanceof LoraAdapter);
    if (isOurs) requireHead(adapterHead(adapter, options.name), model);
    const attached = isOurs ? model.attach(adapter, { name: options.name ?? 'reward model' }) : adapter;
    if (isOurs) attached.enabled = false;
    const { head } = attached;
    if (!head) throw withoutHead('adapter');
    const free = () => {
      if (isOurs) model.detach(attached);
    };
    return new RewardModel({ model, adapters: [attached], head, free }, options);
  }

  /** The model with its base. */
  get model(): CausalLM {
    return this.parts.model;
  }

  /** The token ids of an input. Throws {@link InputError} for text without a tokenizer. */
  encode(input: ScoreInput): number[] {
    if (typeof input === 'object' && 'ids' in input) return [...input.ids];
    const { tokenizer } = this;
    if (!tokenizer)
      throw new InputError(this.name, 'got text but has no tokenizer', 'Pass a tokenizer, or token ids');
    if (typeof input === 'string') return encodeWithEos(input, tokenizer);
    if ('messages' in input) return tokenizer.encodeChat(input.messages);
    return encodeSequence(input.prompt, input.completion, tokenizer);
  }

  /** The score of every input, independent of the other inputs. Throws {@link InputError}. */
  async score(inputs: readonly ScoreInput[], options?: RewardScoreOptions): Promise<number[]> {
    const sequences = inputs.map((input) => ({ prompt: [], completion: this.encode(input) }));
    return this.scoreTokens(sequences, options);
  }

  /** The same for token ids; neighbors with the same prompt share it. The prompt may be empty. */
  async scoreTokens(
    sequences: readonly TokenizedSequence[],
    { batchTokens = BATCH_TOKENS, signal, onProgress }: RewardScoreOptions = {},
  ): Promise<number[]> {
    const scored = sequences.map((sequence, i) => {
      this.check(sequence, `sequence ${i + 1}`);
      return upToScored(sequence, this.padTokenId);
    });
    const scores: number[] = [];
    for (const batch of inBatches(scored, batchTokens)) {
      signal?.throwIfAborted();
      scores.push(...(await this.scoreBatch(batch)));
      onProgress?.(scores.length, sequences.length);
    }
    return scores;
  }

  /**
   * Rates completions of a policy, as a reward function: by token ids if both have the same tokenizer, else by text. A truncated completion
   * gets the end token of the training texts: without it, a score hardly depends on the text.
   */
  rate({ promptIds, completionIds, prompts, completions, tokenizer }: RatedBatch): Promise<number[]> {
    if (!this.tokenizer || this.readsIdsOf(tokenizer)) {
      return this.rateTokens(promptIds.map((prompt, i) => ({ prompt, completion: completionIds[i] })));
    }
    return this.score(
      prompts.map((prompt, i) => ({
        prompt,
        completion: completions[i],
      })),
    );
  }

  /** The same for token ids only. */
  rateTokens(
    sequences: readonly { prompt: readonly number[]; completion: readonly number[] }[],
    options?: RewardScoreOptions,
  ): Promise<number[]> {
    const ends = [this.tokenizer?.eosId, ...this.parts.model.config.eosTokenIds].filter(
      (id) => id !== undefined,
    );
    const ended = sequences.map(({ prompt, completion }) => {
      const isEnded = ends.includes(completion.at(-1)!);
      return { prompt: [...prompt], completion: [...completion, ...(isEnded ? [] : ends.slice(0, 1))] };
    });
    return this.scoreTokens(ended, options);
  }

  /** Rehearses the largest batch of such completions on a counting device; a model on another device is not counted. */
  rehearse(gpu: Gpu, sequences: readonly TokenizedSequence[]): void {
    if (this.parts.model.gpu.device !== gpu.device) return;
    const largest = largestOf(inBatches(sequences, BATCH_TOKENS));
    if (largest.length > 0) this.record(gpu, largest, () => {});
  }

  /** A notice for the user when it rates the completions of a policy with this tokenizer. */
  noticeFor(tokenizer: Tokenizer): string | undefined {
    if (this.readsIdsOf(tokenizer)) return undefined;
    return `${this.name} has another tokenizer than the policy, so it receives text.`;
  }

  /** Frees what it owns. */
  dispose(): void {
    this.parts.free();
  }

  private readsIdsOf(other: Tokenizer): boolean {
    const known = this.alike.get(other);
    if (known !== undefined) return known;
    const found = !this.tokenizer || this.tokenizer.isAlike(other);
    this.alike.set(other, found);
    return found;
  }

  private async scoreBatch(examples: readonly TokenizedExample[]): Promise<Float32Array> {
    const { gpu } = this.parts.model;
    return new Float32Array(await this.record(gpu, examples, (rows) => gpu.read(rows)));
  }

  /** `use` gets the scores (R, 1) before they are released. */
  private record<T>(gpu: Gpu, examples: readonly TokenizedExample[], use: (rows: Tensor) => T): T {
    const { model, adapters, head } = this.parts;
    const batch = new DeviceBatch(gpu, packExamples(examples, { rows: 'ends' }));
    const tape = Tape.forInference(gpu);
    // Recorded at once, so that adapters are restored before this waits.
    const result = use(model.withOnly(adapters, () => scalarRows(tape, model, batch, head)));
    tape.dispose();
    batch.dispose();
    return result;
  }

  private check({ prompt, completion }: TokenizedSequence, where: string): void {
    const { config, name } = this.parts.model;
    const ids = [...prompt, ...completion];
    requireTokenIds(ids, config.vocabSize, where);
    if (ids.length === 0) throw new InputError(where, 'has no tokens', 'Provide at least one');
    if (ids.length <= config.maxPositionEmbeddings) return;
    const what = `has ${ids.length} tokens, but ${name} supports at most ${config.maxPositionEmbeddings}`;
    throw new InputError(where, what, 'Shorten it');
  }
}

function adapterHead({ head }: Adapter, name = 'adapter'): Float32Array {
  if (head) return head;
  throw withoutHead(name);
}

function withoutHead(name: string): InputError {
  const wayOut = 'Use one written by reward-model, or by PEFT with task_type SEQ_CLS';
  return new InputError(name, 'is not the adapter of a reward model: it has no head', wayOut);
}

function requireHead({ length }: { readonly length: number }, { config, name }: CausalLM): void {
  if (length === config.hiddenSize) return;
  const what = `its hidden states have ${config.hiddenSize} elements, but the head of the reward model has ${length}`;
  throw new InputError(name, what, 'Use an adapter that belongs to this model');
}

function lastPart(path: string): string {
  return path.replace(/[\\/]+$/, '').replace(/^.*[\\/]/, '') || 'reward_model';
}
