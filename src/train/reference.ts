/**
 * The reference's log-probabilities, token by token: what a step asks of a reference, and the reference that stays as it is,
 * computed once for a dataset and kept by the hash of everything it depends on. That one is the model itself with the trained
 * adapter switched off, or as it stands before the first step.
 */
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { contentHash } from '../io/hash.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { TrainEvent } from './events.ts';
import { rowLogprobs } from './forward.ts';

/** Changes when the way of computing changes, so that no stale value is read. */
const VERSION = 'reference-2';

/** Where π_ref comes from. */
export interface Reference {
  /** Gets ready for some examples, telling how far it is. */
  prepare(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /** log π_ref(target | what comes before) of the loss rows (R) of a batch of these examples; who asks releases it. */
  rows(gpu: Gpu, batch: DeviceBatch, examples: readonly TokenizedExample[]): Tensor;
  /** To be called after every optimizer step, on a counting device too. */
  stepped(step: number, gpu?: Gpu): void;
  /** What a checkpoint keeps of it beside the parameters. */
  save(): Promise<Map<string, Float32Array>>;
  restore(tensors: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
}

/** How a reference that stays as it is scores. */
export interface CachedReferenceOptions {
  /** The adapter in training, which is off meanwhile. */
  without?: LoraAdapter | undefined;
  /** Examples at a time. */
  batchSize: number;
  cache?: ReferenceCache | undefined;
}

export class CachedReference implements Reference {
  /** Of an example's completions, one after the other. */
  private readonly known = new Map<TokenizedExample, Float32Array>();

  constructor(
    private readonly model: CausalLM,
    private readonly options: CachedReferenceOptions,
  ) {}

  async *prepare(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void> {
    if (examples.every((example) => this.known.has(example))) return;
    const { without: adapter } = this.options;
    if (adapter) adapter.enabled = false;
    try {
      yield* this.compute(examples);
    } finally {
      if (adapter) adapter.enabled = true;
    }
  }

  rows(gpu: Gpu, { targets }: DeviceBatch, examples: readonly TokenizedExample[]): Tensor {
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

  /** Computes or fetches the log-probabilities of the examples. */
  private async *compute(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void> {
    const { model } = this;
    const { batchSize, cache } = this.options;
    const total = examples.length;
    const key = await contentHash(VERSION, await model.policyHash(), JSON.stringify(examples));
    const lengths = examples.map(({ completions }) => completions.reduce((n, { length }) => n + length, 0));
    const wanted = lengths.reduce((a, b) => a + b, 0);
    let all = await cache?.get(key);
    const cached = all?.length === wanted;
    if (cached) yield { type: 'reference', done: total, total, cached };
    else {
      all = new Float32Array(wanted);
      let filled = 0;
      for (let start = 0; start < total; start += batchSize) {
        const values = await scoreExamples(model, examples.slice(start, start + batchSize));
        all.set(values, filled);
        filled += values.length;
        yield { type: 'reference', done: Math.min(start + batchSize, total), total, cached };
      }
      await cache?.put(key, all);
    }
    let at = 0;
    for (const [i, example] of examples.entries()) {
      this.known.set(example, (all as Float32Array).subarray(at, at + lengths[i]));
      at += lengths[i];
    }
  }
}

/** Log-probabilities of all completion tokens of some examples, in packed order. */
async function scoreExamples(model: CausalLM, examples: readonly TokenizedExample[]): Promise<Float32Array> {
  const { gpu } = model;
  const batch = new DeviceBatch(gpu, packExamples(examples));
  const tape = Tape.forInference(gpu);
  const values = gpu.recorder.read(rowLogprobs(tape, model, batch));
  tape.dispose();
  batch.dispose();
  gpu.recorder.flush();
  return new Float32Array(await gpu.settle(values));
}
