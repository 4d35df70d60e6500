/**
 * A run's settings, with TRL's and PEFT's names in camelCase and their defaults. Plain data, checked once: what makes no
 * sense is refused by name, with the way out. Nothing here reaches a shader except as a uniform.
 */
import { InputError, listed, quote } from '../io/errors.ts';
import type { LoraConfig } from '../io/peft.ts';
import type { Kept } from '../model/decoder.ts';
import {
  type Family,
  type Loss,
  type LossSettings,
  LossSettingsError,
  type LossType,
  lossOf,
} from '../objectives/families.ts';
import { SCHEDULES, type SchedulerType } from './schedule.ts';

export interface TrainingConfig {
  /** Peak learning rate. */
  learningRate: number;
  numTrainEpochs: number;
  /** Optimizer steps; overrides the epochs where it is above 0. */
  maxSteps: number;
  perDeviceTrainBatchSize: number;
  perDeviceEvalBatchSize: number;
  gradientAccumulationSteps: number;
  lrSchedulerType: SchedulerType;
  warmupSteps: number;
  /** Share of all steps, where `warmupSteps` is 0. */
  warmupRatio: number;
  /** Gradient norm to clip to; 0 does not clip. */
  maxGradNorm: number;
  weightDecay: number;
  adamBeta1: number;
  adamBeta2: number;
  adamEpsilon: number;
  seed: number;
  /** Whether every epoch has an order of its own, from the seed. */
  shuffleDataset: boolean;
  /** Steps between evaluations; 0 evaluates at the end alone. */
  evalSteps: number;
  /** Steps between checkpoints; 0 writes one when training stops. */
  saveSteps: number;
  /** Keep no activations of a layer but run it again: slower, far less memory. */
  gradientCheckpointing: boolean;
  /** Tokens whose probability is below this are left out of the head's gradient; 0 leaves out none. */
  filterEps: number;
  /**
   * How activations lie from the forward to the backward pass. In `float16` they take half the memory, and only gradients,
   * not losses, are rounded.
   */
  savedActivations: 'float32' | 'float16';
}

/** What trainers on prompts and completions have in common. */
export interface CompletionConfig extends TrainingConfig {
  /** Strength of the pull to the reference, and the scale of the rewards. */
  beta: number;
  /** Most tokens of prompt and completion. */
  maxLength: number;
}

export interface DPOConfig extends CompletionConfig {
  /** An objective of the catalogue by name or one's own as a descriptor, or several whose weighted losses add up. */
  lossType: LossType | readonly LossType[];
  /** A weight for each of several objectives; null weighs them alike. */
  lossWeights: readonly number[] | null;
  /** cDPO, robust DPO and EXO: the share of pairs whose preference is taken to be wrong. */
  labelSmoothing: number;
  /** DiscoPOP's temperature. */
  discopopTau: number;
  /** 1 where IPO averages over tokens, as TRL does, 0 where it sums, as its paper does. */
  ipoTokenMean: number;
  /** Which f-divergence holds the policy to the reference. */
  fDivergence: string;
  /** α of the α-divergence. */
  fAlphaDivergenceCoef: number;
  /** LD-DPO: the weight of tokens beyond the shorter completion's length; null is plain DPO. */
  ldAlpha: number | null;
  /** WPO: whether pairs weigh by how likely the policy finds them. */
  useWeighting: boolean;
  /** TR-DPO: whether the reference follows the policy. */
  syncRefModel: boolean;
  /** The policy's share when it does. */
  refModelMixupAlpha: number;
  /** Optimizer steps from one time to the next. */
  refModelSyncSteps: number;
}

export interface CPOConfig extends CompletionConfig {
  /** `sigmoid`, `hinge`, `ipo` or `simpo`. */
  lossType: string;
  labelSmoothing: number;
  /** Weight of the chosen completion's cross-entropy; 0 with `simpo` is SimPO. */
  cpoAlpha: number;
  /** SimPO's target margin γ. */
  simpoGamma: number;
}

export type ORPOConfig = CompletionConfig;

export interface KTOConfig extends CompletionConfig {
  /** `kto` or `apo_zero_unpaired`. */
  lossType: string;
  desirableWeight: number;
  undesirableWeight: number;
}

export interface SFTConfig extends TrainingConfig {
  maxLength: number;
  /** Whether prompts are not learned; null learns completions alone where there are prompts. */
  completionOnlyLoss: boolean | null;
}

/** PEFT's LoRA settings; null trains all weights. */
export type PeftConfig = LoraConfig | null;

const TRAINING_DEFAULTS: Readonly<TrainingConfig> = {
  learningRate: 1e-6,
  numTrainEpochs: 3,
  maxSteps: -1,
  perDeviceTrainBatchSize: 8,
  perDeviceEvalBatchSize: 8,
  gradientAccumulationSteps: 1,
  lrSchedulerType: 'linear',
  warmupSteps: 0,
  warmupRatio: 0,
  maxGradNorm: 1,
  weightDecay: 0,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  seed: 42,
  shuffleDataset: true,
  evalSteps: 0,
  saveSteps: 0,
  gradientCheckpointing: false,
  filterEps: 0,
  savedActivations: 'float32',
};

const COMPLETION_DEFAULTS: Readonly<CompletionConfig> = { ...TRAINING_DEFAULTS, beta: 0.1, maxLength: 1024 };

// TRL's defaults. The learning rates are those of full training; adapters take {@link LORA_LEARNING_RATE}.

export const DPO_DEFAULTS: Readonly<DPOConfig> = {
  ...COMPLETION_DEFAULTS,
  lossType: 'sigmoid',
  lossWeights: null,
  labelSmoothing: 0,
  discopopTau: 0.05,
  ipoTokenMean: 1,
  fDivergence: 'reverse_kl',
  fAlphaDivergenceCoef: 0.5,
  ldAlpha: null,
  useWeighting: false,
  syncRefModel: false,
  refModelMixupAlpha: 0.6,
  refModelSyncSteps: 512,
};

export const CPO_DEFAULTS: Readonly<CPOConfig> = {
  ...COMPLETION_DEFAULTS,
  lossType: 'sigmoid',
  labelSmoothing: 0,
  cpoAlpha: 1,
  simpoGamma: 0.5,
};

export const ORPO_DEFAULTS: Readonly<ORPOConfig> = COMPLETION_DEFAULTS;

export const KTO_DEFAULTS: Readonly<KTOConfig> = {
  ...COMPLETION_DEFAULTS,
  lossType: 'kto',
  desirableWeight: 1,
  undesirableWeight: 1,
};

export const SFT_DEFAULTS: Readonly<SFTConfig> = {
  ...TRAINING_DEFAULTS,
  learningRate: 2e-5,
  maxLength: 1024,
  completionOnlyLoss: null,
};

export const LORA_LEARNING_RATE = 1e-5;
export const SFT_LORA_LEARNING_RATE = 2e-4;

export const LORA_DEFAULTS: Readonly<LoraConfig> = {
  r: 16,
  loraAlpha: 32,
  targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  useRslora: false,
};

type Rule = [allowed: (value: number) => boolean, expected: string];
const wholeFrom = (least: number): Rule => [
  (v) => Number.isSafeInteger(v) && v >= least,
  `a whole number from ${least}`,
];
const between = (low: number, high: number): Rule => [
  (v) => v >= low && v < high,
  `a number from ${low} to below ${high}`,
];
const positive: Rule = [(v) => v > 0 && Number.isFinite(v), 'a number above 0'];
const notNegative: Rule = [(v) => v >= 0 && Number.isFinite(v), 'a number from 0'];

const RULES: Readonly<Record<string, Rule>> = {
  beta: positive,
  maxLength: wholeFrom(2),
  learningRate: notNegative,
  numTrainEpochs: positive,
  maxSteps: wholeFrom(-1),
  perDeviceTrainBatchSize: wholeFrom(1),
  perDeviceEvalBatchSize: wholeFrom(1),
  gradientAccumulationSteps: wholeFrom(1),
  warmupSteps: wholeFrom(0),
  warmupRatio: [(v) => v >= 0 && v <= 1, 'a number from 0 to 1'],
  maxGradNorm: notNegative,
  weightDecay: notNegative,
  adamBeta1: between(0, 1),
  adamBeta2: between(0, 1),
  adamEpsilon: notNegative,
  seed: wholeFrom(0),
  evalSteps: wholeFrom(0),
  saveSteps: wholeFrom(0),
  filterEps: between(0, 1),
  cpoAlpha: notNegative,
  refModelMixupAlpha: [(v) => v > 0 && v <= 1, 'a number above 0, up to 1'],
  refModelSyncSteps: wholeFrom(1),
};

const SAVED_ACTIVATIONS: readonly string[] = [
  'float32',
  'float16',
] satisfies TrainingConfig['savedActivations'][];

/** Fills in the defaults, with null as `peftConfig` those of full training, and checks every value. Throws {@link InputError}. */
export function resolveConfig<Config extends TrainingConfig>(
  given: Partial<Config> = {},
  defaults: Readonly<Config>,
  peftConfig?: object | null,
  adapterRate = LORA_LEARNING_RATE,
): Config {
  refuseUnknown(given, defaults);
  const rate = peftConfig === null ? {} : { learningRate: adapterRate };
  const config: Config = { ...defaults, ...rate, ...withoutUndefined(given) };
  for (const [name, value] of Object.entries(config)) {
    const rule = RULES[name];
    if (!rule || (typeof value === 'number' && rule[0](value))) continue;
    throw new InputError('settings', `${name} is ${quote(String(value))}`, `Give ${rule[1]}`);
  }
  if (!(config.lrSchedulerType in SCHEDULES)) {
    const wayOut = `Known are ${listed(Object.keys(SCHEDULES))}`;
    throw new InputError('settings', `lrSchedulerType is ${quote(String(config.lrSchedulerType))}`, wayOut);
  }
  if (!SAVED_ACTIVATIONS.includes(config.savedActivations)) {
    const wayOut = `Known are ${listed(SAVED_ACTIVATIONS)}`;
    throw new InputError('settings', `savedActivations is ${quote(String(config.savedActivations))}`, wayOut);
  }
  if (config.gradientCheckpointing && config.savedActivations !== 'float32') {
    const what = `gradientCheckpointing saves no activations, and savedActivations wants them in ${config.savedActivations}`;
    throw new InputError('settings', what, 'Give one of the two');
  }
  return config;
}

/** What the decoder keeps of its layers under these settings. */
export function keptActivations({ gradientCheckpointing, savedActivations }: TrainingConfig): Kept {
  return gradientCheckpointing ? 'nothing' : savedActivations;
}

/** The loss that a family makes of a configuration. Throws {@link InputError}. */
export function resolveLoss(family: Family, config: LossSettings): Loss {
  try {
    return lossOf(family, config);
  } catch (error) {
    if (!(error instanceof LossSettingsError)) throw error;
    throw new InputError('settings', error.what, error.wayOut, { cause: error });
  }
}

/** Fills in PEFT's settings and checks them. */
export function resolveLoraConfig(given: Partial<LoraConfig>): LoraConfig {
  refuseUnknown(given, LORA_DEFAULTS);
  const config: LoraConfig = { ...LORA_DEFAULTS, ...withoutUndefined(given) };
  if (!Number.isSafeInteger(config.r) || config.r < 1) {
    throw new InputError('settings', `r is ${config.r}`, 'Give a whole number from 1');
  }
  if (!(config.loraAlpha > 0))
    throw new InputError('settings', `loraAlpha is ${config.loraAlpha}`, 'Give a number above 0');
  return config;
}

function refuseUnknown(given: object, known: object): void {
  const unknown = Object.keys(given).filter((name) => !(name in known));
  if (unknown.length > 0) {
    const wayOut = `Known are ${listed(Object.keys(known), 40)}`;
    throw new InputError(
      'settings',
      `no setting is called ${unknown.map((name) => quote(name)).join(', ')}`,
      wayOut,
    );
  }
}

function withoutUndefined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}
