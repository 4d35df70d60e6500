/** A training method: the row type of `methods.ts`, and the options, defaults and checks derived from a row. */
import { own } from '../base/lookup.ts';
import type { SliceOptions } from '../base/slices.ts';
import type { DataForm } from '../data/data-form.ts';
import { LORA_DEFAULTS, resolveConfig, resolveLoraConfig, resolveLoss } from '../train/config.ts';
import { defaultsOf, type TrainerSettings } from '../train/settings/trainer.ts';
import { TRAINING } from '../train/settings/training.ts';
import type { Trainer } from '../train/trainer.ts';
import type { DataOptions } from '../train/training-task.ts';
import {
  DATA_OPTIONS,
  LORA_OPTIONS,
  MODEL_OPTIONS,
  type OptionName,
  pick,
  type Settings,
} from './options.ts';
import type { JudgedBy } from './report/judged.ts';
import type { RewardContext } from './rewards.ts';
import type { TrlTrainer } from './trl-trainers.ts';

export interface Method<Row = unknown> {
  name: string;
  summary: string;
  /** Lines of the help. */
  description: string;
  example: string;
  /** The kind of rows in its data. */
  rows: 'pairs' | 'completions' | 'texts' | 'prompts';
  /** How the report shows held-out rows. */
  judged: JudgedBy;
  /** Its settings, which are options of the command with the same names. */
  settings: TrainerSettings;
  /** Its trainer in TRL; undefined if the run cannot be exported. */
  trl?: TrlTrainer;
  /** Further arguments of its trainer, and the options that they come from. */
  extra?: {
    options: readonly OptionName[];
    load(settings: Settings, context: RewardContext): Promise<object>;
  };
  /** Options of its command that may be left out. */
  others?: readonly OptionName[];
  form: DataForm<Row>;
  /** Prepares the data in slices, so that the signal can stop it. */
  trainer(options: DataOptions<object, readonly Row[]>, slices: SliceOptions): Promise<Trainer>;
}

/** The options that a method takes: its trainer's settings, and those of single losses. */
export function methodOptions({ settings: { settings, options } }: Pick<Method, 'settings'>): OptionName[] {
  return Object.keys({ ...settings, ...options }) as OptionName[];
}

/** The options that define a run of the method, for its command and its plan. */
export function runOptions(method: Method): OptionName[] {
  const data = ['dtype', ...DATA_OPTIONS, 'initAdapter', 'full'] as const;
  const extra = method.extra?.options ?? [];
  return [...MODEL_OPTIONS, ...data, ...methodOptions(method), ...extra, ...LORA_OPTIONS];
}

/** The required ones among them. */
export function requiredOptions({ extra }: Method): ('model' | 'data' | OptionName)[] {
  return ['model', 'data', ...(extra?.options ?? [])];
}

/** Defaults that differ from the settings' own. */
export const RUN_DEFAULTS = {
  dtype: 'auto',
  evalSplit: 0.1,
  saveSteps: 50,
  seed: TRAINING.seed.default,
} as const satisfies Settings;

/** Throws an `InputError` for settings that its trainer would reject, before any slow work. */
export function checkMethod(method: Method, settings: Settings): void {
  const { family } = method.settings;
  const config = resolveConfig(method.settings, pick(settings, methodOptions(method)));
  resolveLoss(family, { lossType: family.lossType, ...config });
  resolveLoraConfig(pick(settings, LORA_OPTIONS));
}

/** The defaults of a method's settings, for the help. */
export function shownDefaults({ settings: { settings, options, ...trainer } }: Method): object {
  const usual = defaultsOf({ settings: { ...settings, ...options }, defaults: trainer.defaults });
  const ofAdapters = Object.entries(trainer.adapterDefaults).map(([name, value]): [string, string] => [
    name,
    `${value}, with --full ${own(usual, name)}`,
  ]);
  return { ...usual, ...LORA_DEFAULTS, ...Object.fromEntries(ofAdapters) };
}
