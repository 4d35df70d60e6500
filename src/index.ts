/**
 * `webalign`: everything that runs wherever WebGPU does, a page, a worker or Node. Load a model, train an adapter on
 * preferences, generate, score; or use the kernels alone on logits of one's own. Touches neither files nor a document;
 * folders on disk and a GPU in Node are in `webalign/node`.
 */
import { Gpu, type GpuOptions } from './gpu/device.ts';
import { NoAdapterError } from './gpu/errors.ts';

export type { Progress, Sliced, SliceOptions } from './base/slices.ts';
// Data, as people have it.
export type { Message } from './data/chat-template.ts';
export {
  COMPARISONS,
  type Comparison,
  type ComparisonRow,
  type TokenizedComparison,
} from './data/comparison-dataset.ts';
export type { DataForm, DataRow } from './data/data-form.ts';
export { LABELLED, type LabelledRow, readLabelledRows } from './data/labelled-dataset.ts';
export {
  type PackedBatch,
  packPairs,
  packSequences,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedSequence,
} from './data/packing.ts';
export {
  PREFERENCES,
  type PreferenceRow,
  readPreferenceRows,
  toPreferenceRow,
  trainEvalSplit,
} from './data/preference-dataset.ts';
export { PROMPTS, type PromptRow, readPromptRows } from './data/prompt-dataset.ts';
export { readDataset } from './data/read-dataset.ts';
export { readTextRows, TEXTS, type TextRow } from './data/text-dataset.ts';
export { TextStream } from './data/text-stream.ts';
export type { TokenIds } from './data/token-ids.ts';
export { type TokenizeOptions, tokenizeCompletions, tokenizePairs } from './data/tokenize-completions.ts';
export { tokenizeTexts } from './data/tokenize-texts.ts';
export { requireEmbedded, Tokenizer } from './data/tokenizer.ts';
// A device, its memory and what can go wrong with it.
export { type AdapterReport, Gpu, type GpuOptions } from './gpu/device.ts';
export {
  DeviceLostError,
  formatBytes,
  GpuError,
  GpuValidationError,
  MemoryCapError,
  NoAdapterError,
  OutOfMemoryError,
  ShaderError,
} from './gpu/errors.ts';
export type { BufferView, MemoryReport } from './gpu/pool.ts';
export type { Shader } from './gpu/shader.ts';
export type { Tuning, TuningReport, TuningStore } from './gpu/tuner.ts';
export { type Around, Turns } from './gpu/turns.ts';
// Files and formats.
export { type ByteSource, blobSource, byteSource, memorySource } from './io/byte-source.ts';
export { type CheckpointStore, memoryCheckpointStore } from './io/checkpoint.ts';
export { type AdapterPart, combineAdapters } from './io/combine-adapters.ts';
export type { ModelConfig } from './io/config.ts';
export { InputError } from './io/errors.ts';
export { blobFiles, type Files, memoryFiles } from './io/files.ts';
export { ggufFiles } from './io/gguf/files.ts';
export type { FetchOptions, FetchProgress, HttpOptions } from './io/http.ts';
export type { FetchFilesOptions } from './io/http-file.ts';
export { fetchFiles } from './io/http-files.ts';
export { CacheWriteError, type HubCache, memoryHubCache } from './io/hub/cache.ts';
export { DamagedDownloadError } from './io/hub/download.ts';
export { clearPageCache } from './io/hub/opfs-cache.ts';
export type { LoraArgs, LoraConfig } from './io/lora-settings.ts';
export { type Adapter, type AdapterFiles, readAdapter, writeAdapter } from './io/peft.ts';
export { memoryReferenceCache, type ReferenceCache, storedReferenceCache } from './io/reference-cache.ts';
export { openSafetensors, parseSafetensors, type TensorSource, writeSafetensors } from './io/safetensors.ts';
export { openSource, type Source, type SourceOptions } from './io/sources.ts';
// Objectives, those of the catalogue and one's own.
export { LOSSES, type Loss, type LossOptions } from './losses/catalogue.ts';
export { completionLoss, type Term } from './losses/completion-loss.ts';
export { DIVERGENCES, type Divergence, type DivergenceRow } from './losses/divergences.ts';
export { FAMILIES, type Family, type LossSettings } from './losses/families.ts';
export { type DpoOptions, type DpoResult, dpo, type PreferenceLogits } from './losses/logits.ts';
export type { LossOption } from './losses/options.ts';
export { POLICYS_OWN } from './losses/policy-losses.ts';
export { lossShader } from './losses/shader.ts';
export { tokenLoss } from './losses/token-loss.ts';
export { EXAMPLE_RECORD, PAIR_METRICS, PAIR_RECORD, TOKEN_RECORD } from './losses/units.ts';
// Models and adapters.
export { DeviceBatch } from './model/batch.ts';
export { CausalLM, type LoadOptions } from './model/causal-lm.ts';
export { Chat, type ChatOptions, streamText } from './model/chat.ts';
export {
  addUpdate,
  emptyGenerations,
  type Generation,
  type GenerationUpdate,
  generate,
  type SampledLogprobs,
  type StreamOptions,
  sampledTokens,
  streamGeneration,
} from './model/generation.ts';
export type { GenerationOptions } from './model/generation-options.ts';
export { type GenerationPlan, planGeneration } from './model/generation-plan.ts';
export { ggufAdapter } from './model/gguf-adapter.ts';
export { ggufModel } from './model/gguf-model.ts';
export { freshAdapter, type LinearShape, LoraAdapter } from './model/lora.ts';
export { mergedModelFiles } from './model/merged-model.ts';
export type { LoadDtype } from './model/precision.ts';
export { describeModel, type ModelDescription } from './model/weights.ts';
// Operations on any float32 logits (N, V), a GPUBuffer of one's own included.
export { entropy } from './ops/entropy.ts';
export { expectation } from './ops/expectation.ts';
export { type KlDirection, kl } from './ops/kl.ts';
export { logitsOf } from './ops/logits.ts';
export { logSumExp } from './ops/logsumexp.ts';
export { logSoftmax, softmax } from './ops/softmax.ts';
export { headLogprobs, tokenLogprobs } from './ops/token-logprob.ts';
// Learning from rewards of completions that the policy writes.
export { A2POTrainer, type A2POTrainerOptions } from './rollout/a2po-trainer.ts';
export { type AdvantageCase, advantagesOfCase } from './rollout/advantage-case.ts';
export {
  type AdvantageBatch,
  type AdvantageFunction,
  type AdvantageOptions,
  AGGREGATIONS,
  type Aggregation,
  advantages,
  type Baseline,
  type Scale,
} from './rollout/advantages.ts';
export { type BestCompletion, type BestOfNOptions, bestOfN } from './rollout/best-of-n.ts';
export { REWARDS, type RewardOptions } from './rollout/built-in-rewards.ts';
export { RewardEvaluation } from './rollout/evaluation.ts';
export {
  type GaeOptions,
  generalizedAdvantages,
  tokenRewards,
  valueTargets,
  whitened,
} from './rollout/gae.ts';
export { GRPOTrainer, type GRPOTrainerOptions } from './rollout/grpo-trainer.ts';
export type { Judge, JudgedPair, JudgeOptions } from './rollout/judge.ts';
export { OnlineDPOTrainer, type OnlineDPOTrainerOptions } from './rollout/online-dpo-trainer.ts';
export { PPOTrainer, type PPOTrainerOptions } from './rollout/ppo-trainer.ts';
export {
  type BatchReward,
  type Rated,
  type Rater,
  type RatingOptions,
  type Reward,
  type RewardBatch,
  rate,
  type WeighedReward,
  weighedRewards,
} from './rollout/rewards.ts';
export { RLOOTrainer, type RLOOTrainerOptions } from './rollout/rloo-trainer.ts';
export { type RolloutSettings, RolloutSource } from './rollout/source.ts';
export { Tape } from './tensor/tape.ts';
export { Tensor } from './tensor/tensor.ts';
// Theorem 1 on finite answer sets, exactly, and its quantities from samples.
export {
  type BestOfN,
  type Estimate,
  estimateBestOfN,
  estimateGap,
  estimateKl,
  estimateObjective,
  estimateOptimum,
  type GapEstimate,
  type KlEstimator,
  type ObjectiveSamples,
  type OptimumEstimate,
} from './theory/estimators.ts';
export { type ImplicitRewardInputs, implicitReward } from './theory/implicit-reward.ts';
export { type ObjectiveInputs, type ObjectiveValue, objective } from './theory/objective.ts';
export { type OptimalPolicy, type OptimalPolicyInputs, optimalPolicy } from './theory/optimal-policy.ts';
// Training and scoring.
export { type Advice, adviceOn, type RunFigures } from './train/advice.ts';
export {
  A2PO_DEFAULTS,
  type A2POArgs,
  type A2POConfig,
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
  SFT_DEFAULTS,
  type SFTArgs,
  type SFTConfig,
  type WithOwnOptions,
} from './train/config.ts';
export { CPOTrainer, type CPOTrainerOptions } from './train/cpo-trainer.ts';
export { DatasetSource } from './train/dataset-source.ts';
export type { LabelledDataset, LabelledSequence, PairDataset, TextDataset } from './train/datasets.ts';
export { DPOTrainer, type DPOTrainerOptions } from './train/dpo-trainer.ts';
export { NonFiniteLossError } from './train/errors.ts';
export { evaluateLoss, type LossValues, type TokenLossValues } from './train/evaluate-loss.ts';
export { type Evaluation, LossEvaluation } from './train/evaluation.ts';
export type {
  EvaluateEvent,
  Metrics,
  RolloutReport,
  RunPlan,
  StepEvent,
  TrainEvent,
} from './train/events.ts';
export {
  type ImplicitReward,
  type ImplicitRewardOptions,
  implicitRewards,
  separation,
} from './train/implicit-rewards.ts';
export { KTOTrainer, type KTOTrainerOptions } from './train/kto-trainer.ts';
export type { ExampleNumbers, LossCase, PairNumbers } from './train/loss-case.ts';
export { type MemoryPlan, planMemory } from './train/memory-plan.ts';
export {
  estimateModelOptimum,
  estimatePolicy,
  type MonteCarloOptions,
  type PolicyEstimate,
  type RewardFunction,
} from './train/monte-carlo.ts';
export { ORPOTrainer, type ORPOTrainerOptions } from './train/orpo-trainer.ts';
export type { SettingChange } from './train/resume.ts';
export {
  type LoadRewardOptions,
  RewardModel,
  type RewardModelOptions,
  type RewardScoreOptions,
  type ScoreInput,
} from './train/reward-model.ts';
export { RewardTrainer, type RewardTrainerOptions } from './train/reward-trainer.ts';
export type { RoleKind, RoleStart } from './train/roles.ts';
export {
  type SACPOEvent,
  type SACPOStage,
  SACPOTrainer,
  type SACPOTrainerOptions,
} from './train/sacpo-trainer.ts';
export { type SampledText, type SampleFigures, sampleFigures } from './train/sample-figures.ts';
export { logprobs, type Scorer, type ScorerKind, scalars } from './train/scorer.ts';
export { type ScoreOptions, sequenceLogprobs } from './train/sequence-logprobs.ts';
export { SFTTrainer, type SFTTrainerOptions } from './train/sft-trainer.ts';
export type { ExampleSource, SourcedStep } from './train/source.ts';
export type { Task, TrainerOptions } from './train/task.ts';
export type { TokenLossCase, TokenNumbers } from './train/token-case.ts';
export { Trainer } from './train/trainer.ts';

/** A device of this page or worker. Throws {@link NoAdapterError} with what a person can do about it. */
export async function requestGpu(options?: GpuOptions): Promise<Gpu> {
  const source = globalThis.navigator?.gpu;
  if (source) return Gpu.request(source, options);
  throw new NoAdapterError(
    'This browser has no WebGPU here. Use a current Chrome, Edge, Safari or Firefox, over HTTPS or from localhost; ' +
      'in Node take requestGpu from webalign/node.',
  );
}
