/**
 * What a trainer is given, and what it makes of it before the loop begins: settings, examples, and a loss. Types alone.
 */
import type { TokenizedExample } from '../data/packing.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import type { LoraArgs } from '../io/lora-settings.ts';
import type { Adapter } from '../io/peft.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { Loss } from '../objectives/families.ts';
import type { TrainingConfig } from './config.ts';
import type { Synchronisation } from './moving-reference.ts';

/** What every trainer is given beside its own settings and data. */
export interface TrainerOptions {
  model: CausalLM;
  /** LoRA settings, an adapter to continue, or null to train all weights (load the model with `trainable`). */
  peftConfig?: LoraArgs | Adapter | null;
  /** Where the run is kept; without one it cannot be resumed. */
  checkpoint?: CheckpointStore;
  referenceCache?: ReferenceCache;
}

/** The same with settings and data of a kind. */
export interface DataOptions<Args, Dataset> extends TrainerOptions {
  /** Settings; TRL's defaults for what is left out. */
  args?: Args;
  trainDataset: Dataset;
  evalDataset?: Dataset;
  /** The model's tokenizer; needed for rows of text. */
  processingClass?: Tokenizer;
}

/** What there is to minimise, and on what. */
export interface Task<Config extends TrainingConfig> {
  config: Config;
  train: readonly TokenizedExample[];
  evaluation: readonly TokenizedExample[];
  /** Things a person should know about the data, a line each. */
  notices: readonly string[];
  loss: Loss;
  /** Whether the order of the examples is part of the data. */
  keepsOrder?: boolean;
  /** Whether token means are over the optimizer step, not over each micro-batch. */
  tokenMeanOverStep?: boolean;
  /** How the reference follows the policy; it stays as it is where this is left out. */
  movingReference?: Synchronisation | undefined;
}
