/**
 * A constant reference for examples that are known before training: its log-probabilities are computed once, before training or
 * on demand, and those of a whole list are cached by the hash of everything they depend on.
 */
import { hashOfExamples } from '../../data/example-hash.ts';
import { packExamples, type TokenizedExample } from '../../data/packing.ts';
import type { Gpu } from '../../gpu/device.ts';
import { reason } from '../../io/errors.ts';
import { contentHash } from '../../io/hash.ts';
import { DeviceBatch } from '../../model/batch.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import { Tape } from '../../tensor/tape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import type { TrainEvent } from '../events.ts';
import { rowLogprobs } from '../scorer.ts';
import type { Reference, ReferenceSetup } from './reference.ts';
import { ReferenceValues } from './reference-values.ts';

/** Changes when the computation changes, so that no stale value is read. */
const VERSION = 'reference-4';

/** Defaults of `without`, `temperature` and `cache`: no adapter off, 1, no cache. */
export type CachedReferenceOptions = Pick<ReferenceSetup, 'batchSize'> &
  Partial<Pick<ReferenceSetup, 'without' | 'temperature' | 'cache'>>;

export class CachedReference implements Reference {
  readonly scoresAhead = true;
  private readonly lists: ReferenceValues[] = [];
  private readonly without: readonly LoraAdapter[];
  private readonly temperature: number;

  constructor(
    private readonly model: CausalLM,
    private readonly options: CachedReferenceOptions,
  ) {
    this.without = options.without ? [options.without] : [];
    this.temperature = options.temperature ?? 1;
  }

  async *prepare(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void> {
    yield* this.lookFor(examples);
    yield* this.due(examples);
  }

  /** If the trained weights are part of the reference, they have its values only before the first step. */
  async *expect(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void> {
    yield* this.lookFor(examples);
    if (this.without.length === 0) yield* this.due(examples);
  }

  private async *lookFor(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void> {
    if (examples.every((example) => this.listOf(example))) return;
    const list = new ReferenceValues(examples, this.options.batchSize);
    this.lists.push(list);
    if (!this.options.cache) return;
    try {
      const values = await this.options.cache.get(await this.keyOf(examples));
      const total = examples.length;
      if (list.fillAll(values)) yield { type: 'reference', done: total, total, cached: true };
    } catch (error) {
      const text = `The cached reference cannot be read and is computed again: ${reason(error)}.`;
      yield { type: 'notice', text };
    }
  }

  async *due(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void> {
    const lists = new Set(examples.map((example) => this.listOf(example)));
    for (const list of lists) if (list) yield* this.complete(list, examples);
  }

  /** Scores the given examples of a list that have no values yet, together with the rest of their batches. */
  private async *complete(
    list: ReferenceValues,
    examples: readonly TokenizedExample[],
  ): AsyncGenerator<TrainEvent, void> {
    const open = list.open(examples);
    if (open.length === 0) return;
    const { batchSize, cache } = this.options;
    const total = examples.length;
    for (const [i, index] of open.entries()) {
      list.fill(index, await this.score(list.batch(index)));
      yield { type: 'reference', done: Math.min((i + 1) * batchSize, total), total, cached: false };
    }
    if (!cache || !list.isComplete) return;
    try {
      await cache.put(await this.keyOf(list.examples), list.values);
    } catch (error) {
      const text = `The reference cannot be cached, so the next run computes it again: ${reason(error)}.`;
      yield { type: 'notice', text };
    }
  }

  private listOf(example: TokenizedExample): ReferenceValues | undefined {
    return this.lists.find((list) => list.has(example));
  }

  rows(
    gpu: Gpu,
    { targets }: DeviceBatch,
    examples: readonly TokenizedExample[],
    temperature = this.temperature,
  ): Tensor {
    if (temperature !== this.temperature) throw new Error('a cached reference has one temperature');
    const values = new Float32Array(targets.length);
    let filled = 0;
    for (const example of gpu.counting ? [] : examples) {
      const known = this.listOf(example)?.of(example);
      if (!known) throw new Error('the reference was not prepared for an example');
      values.set(known, filled);
      filled += known.length;
    }
    return Tensor.from(gpu, values, [values.length], 'reference log-probabilities', 'reference');
  }

  /** It is constant. */
  stepped(): void {}

  /** All of it can be computed again. */
  async save(): Promise<Map<string, Float32Array>> {
    return new Map();
  }

  restore(): void {}

  dispose(): void {
    this.lists.length = 0;
  }

  /** The hash covers only tokens, because only the loss reads columns. It includes the batch size, which may select a kernel that rounds differently. */
  private async keyOf(examples: readonly TokenizedExample[]): Promise<string> {
    const tokens = await hashOfExamples(examples.map(({ prompt, completions }) => ({ prompt, completions })));
    const policy = await this.model.without(this.without, () => this.model.policyHash());
    const temperature = this.temperature === 1 ? [] : [`temperature ${this.temperature}`];
    return contentHash(VERSION, policy, `${this.options.batchSize} at a time`, tokens, ...temperature);
  }

  /** Log-probabilities of all completion tokens of some examples, in packed order. */
  private async score(examples: readonly TokenizedExample[]): Promise<Float32Array> {
    const { model, temperature } = this;
    const { gpu } = model;
    const values = model.without(this.without, () => {
      const batch = new DeviceBatch(gpu, packExamples(examples));
      const tape = Tape.forInference(gpu);
      const pending = gpu.recorder.read(rowLogprobs(tape, model, batch, temperature));
      tape.dispose();
      batch.dispose();
      return pending;
    });
    gpu.recorder.flush();
    return new Float32Array(await gpu.settle(values));
  }
}
