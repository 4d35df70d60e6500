/**
 * Where π_ref comes from, as a strategy: what a step asks of a reference, and what one is made of. Types alone. The
 * reference is the model itself, with the trained adapter off or as it stood before the first step.
 */
import type { TokenizedExample } from '../../data/packing.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { ReferenceCache } from '../../io/reference-cache.ts';
import type { DeviceBatch } from '../../model/batch.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import type { ParameterStore } from '../../tensor/parameters.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainEvent } from '../events.ts';

export interface Reference {
  /** Whether {@link prepare} scores: the examples that are known ahead, a batch at a time. */
  readonly scoresAhead?: boolean;
  /** Hears of examples that will come, and scores none: what was kept of them is taken. Left out where nothing is kept. */
  expect?(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /** Gets ready for some of the examples that it {@link expect}s, which come now. */
  due?(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /** Gets ready for some examples, telling how far it is. */
  prepare(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /**
   * log π_ref(target | what comes before) of the scored rows (R) of a batch of these examples; the caller releases it. At the
   * reference's own temperature, unless another is asked for.
   */
  rows(gpu: Gpu, batch: DeviceBatch, examples: readonly TokenizedExample[], temperature?: number): Tensor;
  /** Does work while the model is the reference; left out where it has no weights to be it with. */
  standIn?<T>(work: () => Promise<T>): Promise<T>;
  /** To be called after every optimizer step, on a counting device too. */
  stepped(step: number, gpu?: Gpu): void;
  /** What a checkpoint keeps of it beside the parameters. */
  save(): Promise<Map<string, Float32Array>>;
  restore(tensors: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
}

/** What a reference may be made of. */
export interface ReferenceSetup {
  model: CausalLM;
  /** The numbers in training. */
  parameters: ParameterStore;
  /** The adapter that is off in the reference; undefined where the reference is the model as it stood before training. */
  without: LoraAdapter | undefined;
  /** Examples to score at a time. */
  batchSize: number;
  /** Divides the logits, as it does where samples are drawn and trained on. */
  temperature: number;
  cache: ReferenceCache | undefined;
}

export type ReferenceKind = (setup: ReferenceSetup) => Reference;
