/**
 * The inputs of a trainer, and the task made from them before the loop begins: settings, a source of examples, a loss, and an
 * evaluation.
 */
import type { SettingTable } from '../base/setting.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import type { LoraArgs } from '../io/lora-settings.ts';
import type { Adapter } from '../io/peft.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import type { TrainingLoss } from '../losses/family.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { TrainingConfig } from './config.ts';
import { DatasetSource } from './dataset-source.ts';
import type { PreparedDatasets } from './datasets.ts';
import { type Evaluation, LossEvaluation } from './evaluation.ts';
import type { ReferenceKind } from './references/reference.ts';
import type { RoleKind } from './roles.ts';
import type { ScorerKind } from './scorer.ts';
import type { ExampleSource } from './source.ts';

/** Options of every trainer, besides its settings and data. */
export interface TrainerOptions {
  model: CausalLM;
  /** LoRA settings, an adapter to continue, or null to train all weights (load the model with `trainable`). */
  peftConfig?: LoraArgs | Adapter | null;
  /** The checkpoint store; without one the run cannot be resumed. */
  checkpoint?: CheckpointStore;
  referenceCache?: ReferenceCache;
}

/** The same with a trainer's settings and data. */
export interface DataOptions<Args, Dataset> extends TrainerOptions {
  /** Settings; missing ones have TRL's defaults. */
  args?: Args;
  trainDataset: Dataset;
  evalDataset?: Dataset;
  /** The model's tokenizer; needed for rows of text. */
  processingClass?: Tokenizer;
}

/** What to minimize, on which examples, and how to evaluate. */
export interface Task<Config extends TrainingConfig> {
  config: Config;
  /** Declarations of the configuration, which say which settings a resumed run may change; default: those that all trainers share. */
  settings?: SettingTable;
  source: ExampleSource;
  evaluation: Evaluation;
  /** Notices about the data, one sentence each. */
  notices: readonly string[];
  loss: TrainingLoss;
  /** The inputs of the loss; default: log-probabilities at temperature 1. */
  scorer?: ScorerKind;
  /** Further roles that learn from the same examples, such as a value model; default: none. */
  beside?: readonly RoleKind[];
  /** Divides the logits wherever samples are scored; default: 1. */
  temperature?: number;
  /** Where π_ref comes from, if the loss has one; the default depends on the source. */
  reference?: ReferenceKind | undefined;
  /** Whether to compute the reference of known examples before the first step; null: in runs of at least an epoch. */
  precomputeRefLogProbs?: boolean | null;
}

/** The parts of a task that depend on rows, for trainers on data sets. */
export function rowsTask(
  config: TrainingConfig,
  { train, evaluation, notices }: PreparedDatasets,
  options: { keepsOrder?: boolean } = {},
): Pick<Task<TrainingConfig>, 'source' | 'evaluation' | 'notices'> {
  return {
    source: new DatasetSource(train, config, options),
    evaluation: new LossEvaluation(evaluation, config.perDeviceEvalBatchSize),
    notices,
  };
}
