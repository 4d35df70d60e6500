/**
 * `webalign/models`: models and adapters. Load, generate, chat, score texts, merge, export; reward models.
 *
 * @module webalign/models
 */
export { type AdapterPart, combineAdapters } from './io/combine-adapters.ts';
export type { ModelConfig } from './io/config.ts';
export type { LoraArgs, LoraConfig } from './io/lora-settings.ts';
export {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  type Adapter,
  type AdapterFiles,
  readAdapter,
  writeAdapter,
} from './io/peft.ts';
export type { StreamedFile } from './io/streamed-file.ts';
export { DeviceBatch } from './model/batch.ts';
export { CausalLM, type LoadOptions } from './model/causal-lm.ts';
export { Chat, type ChatOptions, streamText } from './model/chat.ts';
export { describeModel, type ModelDescription } from './model/description.ts';
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
export { ggufModel, streamGgufModel } from './model/gguf-model.ts';
export { freshAdapter, type LinearShape, LoraAdapter } from './model/lora.ts';
export { mergedModelFiles, streamMergedModel } from './model/merged-model.ts';
export type { LoadDtype } from './model/precision.ts';
export { openModelWeights } from './model/stored-weights.ts';
export { weightShapes } from './model/weight-shapes.ts';
export {
  type ImplicitReward,
  type ImplicitRewardOptions,
  implicitRewards,
  separation,
} from './train/measures/implicit-rewards.ts';
export {
  type LoadRewardOptions,
  RewardModel,
  type RewardModelOptions,
  type RewardScoreOptions,
  type ScoreInput,
} from './train/measures/reward-model.ts';
export { type ScoreOptions, sequenceLogprobs } from './train/measures/sequence-logprobs.ts';
