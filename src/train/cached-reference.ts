/**
 * A reference that stays as it is, for examples that are known ahead: its log-probabilities are computed once for a data
 * set and kept by the hash of everything they depend on.
 */
import { hashOfExamples } from '../data/example-hash.ts';
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { reason } from '../io/errors.ts';
import { contentHash } from '../io/hash.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { TrainEvent } from './events.ts';
import type { Reference, ReferenceSetup } from './reference.ts';
import { rowLogprobs } from './scorer.ts';

/** Changes when the way of computing changes, so that no stale value is read. */
const VERSION = 'reference-4';

/** `without`, `temperature` and `cache` may be left out: nothing is off, 1, none. */
export type CachedReferenceOptions = Pick<ReferenceSetup, 'batchSize'> &
  Partial<Pick<ReferenceSetup, 'without' | 'temperature' | 'cache'>>;

export class CachedReference implements Reference {
  readonly scoresAhead = true;
  /** Of an example's completions, one after the other. */
  private readonly known = new Map<TokenizedExample, Float32Array>();
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
    if (examples.every((example) => this.known.has(example))) return;
    const { batchSize, cache } = this.options;
    const total = examples.length;
    const key = await this.keyOf(examples);
    const lengths = examples.map(({ completions }) => completions.reduce((n, { length }) => n + length, 0));
    const wanted = lengths.reduce((a, b) => a + b, 0);
    let all: Float32Array | undefined;
    try {
      all = await cache?.get(key);
    } catch (error) {
      yield {
        type: 'notice',
        text: `The cached reference cannot be read and is computed again: ${reason(error)}.`,
      };
    }
    const cached = all?.length === wanted;
    if (cached) yield { type: 'reference', done: total, total, cached };
    else {
      all = new Float32Array(wanted);
      let filled = 0;
      for (let start = 0; start < total; start += batchSize) {
        const values = await this.score(examples.slice(start, start + batchSize));
        all.set(values, filled);
        filled += values.length;
        yield { type: 'reference', done: Math.min(start + batchSize, total), total, cached };
      }
      try {
        await cache?.put(key, all);
      } catch (error) {
        const text = `The reference cannot be kept, and the next run computes it again: ${reason(error)}.`;
        yield { type: 'notice', text };
      }
    }
    let at = 0;
    for (const [i, example] of examples.entries()) {
      this.known.set(example, (all as Float32Array).subarray(at, at + lengths[i]));
      at += lengths[i];
    }
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
      const known = this.known.get(example);
      if (!known) throw new Error('the reference was not prepared for an example');
      values.set(known, filled);
      filled += known.length;
    }
    return Tensor.from(gpu, values, [values.length], 'reference log-probabilities');
  }

  /** It stays as it is. */
  stepped(): void {}

  /** All of it can be computed again. */
  async save(): Promise<Map<string, Float32Array>> {
    return new Map();
  }

  restore(): void {}

  dispose(): void {
    this.known.clear();
  }

  /** Depends on tokens alone: columns are the loss's business. How many go at a time may change which kernel rounds them. */
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
