/**
 * `webalign/trainers`: the trainers with TRL's names and defaults, their settings and events. To write your own trainer,
 * extend {@link Trainer} with a {@link Task}: settings (`resolveConfig`), a loss (`lossOf` of `webalign/losses`), a source
 * of examples (`rowsTask` of a data set, or your own {@link ExampleSource}) and an {@link Evaluation}.
 *
 * @module webalign/trainers
 */
export type { Setting, SettingTable, Values } from './base/setting.ts';
export type { Progress, Sliced, SliceOptions } from './base/slices.ts';
export { A2POTrainer, type A2POTrainerOptions } from './rollout/a2po-trainer.ts';
export { GRPOTrainer, type GRPOTrainerOptions } from './rollout/grpo-trainer.ts';
export { OnlineDPOTrainer, type OnlineDPOTrainerOptions } from './rollout/online-dpo-trainer.ts';
export { PPOTrainer, type PPOTrainerOptions } from './rollout/ppo-trainer.ts';
export { RLOOTrainer, type RLOOTrainerOptions } from './rollout/rloo-trainer.ts';
export {
  A2PO_DEFAULTS,
  type A2POArgs,
  type A2POConfig,
  type CompletionConfig,
  CPO_DEFAULTS,
  type CPOArgs,
  type CPOConfig,
  DPO_DEFAULTS,
  type DPOArgs,
  type DPOConfig,
  GRPO_DEFAULTS,
  type GRPOArgs,
  type GRPOConfig,
  KTO_DEFAULTS,
  type KTOArgs,
  type KTOConfig,
  LORA_DEFAULTS,
  LORA_LEARNING_RATE,
  ONLINE_DPO_DEFAULTS,
  type OnlineDPOArgs,
  type OnlineDPOConfig,
  ORPO_DEFAULTS,
  type ORPOArgs,
  type ORPOConfig,
  type PeftConfig,
  PPO_DEFAULTS,
  type PPOArgs,
  type PPOConfig,
  REWARD_DEFAULTS,
  type RewardArgs,
  type RewardConfig,
  RLOO_DEFAULTS,
  type RLOOArgs,
  type RLOOConfig,
  resolveConfig,
  resolveLoss,
  SFT_DEFAULTS,
  type SFTArgs,
  type SFTConfig,
  TRAINERS,
  type TrainingConfig,
  type WithOwnOptions,
} from './train/config.ts';
export { CPOTrainer, type CPOTrainerOptions } from './train/cpo-trainer.ts';
export { DatasetSource } from './train/dataset-source.ts';
export {
  type DataContext,
  type LabelledDataset,
  type LabelledSequence,
  type PairDataset,
  type Prepared,
  type PreparedDatasets,
  prepareBoth,
  prepareLabelled,
  preparePairs,
  prepareTexts,
  type TextDataset,
} from './train/datasets.ts';
export { DPOTrainer, type DPOTrainerOptions } from './train/dpo-trainer.ts';
export { NonFiniteLossError } from './train/errors.ts';
export { type Evaluation, LossEvaluation } from './train/evaluation.ts';
export type {
  EvaluateEvent,
  Metrics,
  RolloutReport,
  RunPlan,
  StepEvent,
  TrainEvent,
} from './train/events.ts';
export { KTOTrainer, type KTOTrainerOptions } from './train/kto-trainer.ts';
export { type Advice, adviceOn, type RunFigures } from './train/measures/advice.ts';
export { type SampledText, type SampleFigures, sampleFigures } from './train/measures/sample-figures.ts';
export { type MemoryPlan, planMemory } from './train/memory-plan.ts';
export { comparedAccuracy } from './train/metrics.ts';
export { Optimizer } from './train/optimizer.ts';
export { ORPOTrainer, type ORPOTrainerOptions } from './train/orpo-trainer.ts';
export { MovingReference } from './train/references/moving-reference.ts';
export type { Reference, ReferenceKind, ReferenceSetup } from './train/references/reference.ts';
export type { SettingChange } from './train/resume.ts';
export { RewardTrainer, type RewardTrainerOptions } from './train/reward-trainer.ts';
export type { RoleKind, RoleStart } from './train/roles.ts';
export {
  type SACPOEvent,
  type SACPOStage,
  SACPOTrainer,
  type SACPOTrainerOptions,
} from './train/sacpo-trainer.ts';
export { logprobs, type Scorer, type ScorerKind, scalars } from './train/scorer.ts';
export * as declare from './train/settings/declare.ts';
export type { TrainerSettings } from './train/settings/trainer.ts';
export { SFTTrainer, type SFTTrainerOptions } from './train/sft-trainer.ts';
export type { ExampleSource, SourcedStep } from './train/source.ts';
export { type LogEntry, type RunState, readRunState } from './train/state.ts';
export type { StepContext } from './train/step.ts';
export { Trainer } from './train/trainer.ts';
export { type DataOptions, rowsTask, type Task, type TrainerOptions } from './train/training-task.ts';
