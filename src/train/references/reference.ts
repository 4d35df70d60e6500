/**
 * Where π_ref comes from, as a strategy: the interface of a reference, and its inputs. Only types. The
 * reference is the model itself, with the trained adapter off or with its weights before the first step.
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
  /** Whether {@link prepare} scores the examples that are known before training, batch by batch. */
  readonly scoresAhead?: boolean;
  /** Announces examples without scoring any; cached values are loaded. Absent if there is no cache. */
  expect?(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /** Prepares some of the announced examples ({@link expect}), which are needed now. */
  due?(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /** Prepares some examples, and reports progress. */
  prepare(examples: readonly TokenizedExample[]): AsyncGenerator<TrainEvent, void>;
  /**
   * log π_ref(target | context) of the scored rows (R) of a batch of these examples; the caller releases it. At the
   * reference's own temperature, unless another is given.
   */
  rows(gpu: Gpu, batch: DeviceBatch, examples: readonly TokenizedExample[], temperature?: number): Tensor;
  /** Runs work while the model is the reference; absent if the reference has no weights. */
  standIn?<T>(work: () => Promise<T>): Promise<T>;
  /** Must be called after every optimizer step, on a counting device too. */
  stepped(step: number, gpu?: Gpu): void;
  /** Its state in a checkpoint, besides the parameters. */
  save(): Promise<Map<string, Float32Array>>;
  restore(tensors: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
}

/** The inputs of a reference. */
export interface ReferenceSetup {
  model: CausalLM;
  /** The parameters in training. */
  parameters: ParameterStore;
  /** The adapter that is off in the reference; undefined if the reference is the model before training. */
  without: LoraAdapter | undefined;
  /** Batch size for scoring. */
  batchSize: number;
  /** Divides the logits, as in sampling and training. */
  temperature: number;
  cache: ReferenceCache | undefined;
}

export type ReferenceKind = (setup: ReferenceSetup) => Reference;
