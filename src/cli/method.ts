/** A way to train: what a row of `methods.ts` says of it, and the options, defaults and checks that follow from that. */
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
  /** What the rows of its data are. */
  rows: 'pairs' | 'completions' | 'texts' | 'prompts';
  /** How held-out rows show in the report what a run has done. */
  judged: JudgedBy;
  /** Its settings are options of the command, by the same names. */
  settings: TrainerSettings;
  /** Its trainer in TRL; undefined if the run cannot be handed over. */
  trl?: TrlTrainer;
  /** What its trainer is given beside settings and data, and the options that it comes from. */
  extra?: {
    options: readonly OptionName[];
    load(settings: Settings, context: RewardContext): Promise<object>;
  };
  /** Options of its command that may be left out. */
  others?: readonly OptionName[];
  form: DataForm<Row>;
  /** Data is prepared in slices, which the signal stops. */
  trainer(options: DataOptions<object, readonly Row[]>, slices: SliceOptions): Promise<Trainer>;
}

/** The options that a method takes: its trainer's settings, and those of single losses. */
export function methodOptions({ settings: { settings, options } }: Pick<Method, 'settings'>): OptionName[] {
  return Object.keys({ ...settings, ...options }) as OptionName[];
}

/** The options that decide what a run of the method is, for its command and its plan. */
export function runOptions(method: Method): OptionName[] {
  const data = ['dtype', ...DATA_OPTIONS, 'initAdapter', 'full'] as const;
  const extra = method.extra?.options ?? [];
  return [...MODEL_OPTIONS, ...data, ...methodOptions(method), ...extra, ...LORA_OPTIONS];
}

/** Those of them that must be given. */
export function requiredOptions({ extra }: Method): ('model' | 'data' | OptionName)[] {
  return ['model', 'data', ...(extra?.options ?? [])];
}

/** What they are where they are not given and the settings' own defaults do not hold. */
export const RUN_DEFAULTS = {
  dtype: 'auto',
  evalSplit: 0.1,
  saveSteps: 50,
  seed: TRAINING.seed.default,
} as const satisfies Settings;

/** Throws an `InputError` for settings that its trainer would refuse, before anything slow is done. */
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
