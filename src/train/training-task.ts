/**
 * What a trainer is given, and what it makes of it before the loop begins: settings, a source of examples, a loss, and a
 * way to be judged.
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

/** What there is to minimise, on what, and how it is judged. */
export interface Task<Config extends TrainingConfig> {
  config: Config;
  /** Declarations of the configuration: they say which settings a resumed run may change. Those that all trainers have where left out. */
  settings?: SettingTable;
  source: ExampleSource;
  evaluation: Evaluation;
  /** Things a person should know about the data, a line each. */
  notices: readonly string[];
  loss: TrainingLoss;
  /** What the loss is made of: log-probabilities at temperature 1 where it is left out. */
  scorer?: ScorerKind;
  /** What else learns from the same examples, such as a value model; nothing where it is left out. */
  beside?: readonly RoleKind[];
  /** Divides the logits wherever samples are scored; 1 where it is left out. */
  temperature?: number;
  /** Where π_ref comes from, if the loss has one; by the source where it is left out. */
  reference?: ReferenceKind | undefined;
  /** Whether the reference of examples that are known ahead is computed before the first step; null: in runs of at least an epoch. */
  precomputeRefLogProbs?: boolean | null;
}

/** The parts of a task that come of rows, for trainers on data sets. */
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
