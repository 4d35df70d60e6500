/**
 * The declarations of a trainer's settings, and the settings shared by all trainers. Each trainer's are in a file
 * of their own, so that a page loads only those of its trainers; `trainers.ts` lists them.
 */
import { own } from '../../base/lookup.ts';
import type { SettingTable, Spellings, Values } from '../../base/setting.ts';
import type { FamilyName } from '../../losses/families.ts';
import type { Family, LossType } from '../../losses/family.ts';
import type { Loss } from '../../losses/loss.ts';
import type { Kept } from '../../model/decoder.ts';
import { LENGTH, REWARD } from './losses.ts';
import { TRAINING } from './training.ts';

type OptionTable = SettingTable &
  Readonly<Record<string, { readonly trainers: readonly FamilyName[]; readonly always: boolean }>>;

/** The options of losses that are settings of a trainer: in every run, or in runs whose losses read them. */
export type OptionsOf<Options, Trainer extends FamilyName, Always extends boolean> = {
  [Name in keyof Options as Options[Name] extends {
    readonly trainers: readonly (infer Having)[];
    readonly always: Always;
  }
    ? Trainer extends Having
      ? Name
      : never
    : never]: Options[Name];
};

export function optionsOf<Options extends OptionTable, Trainer extends FamilyName, Always extends boolean>(
  options: Options,
  trainer: Trainer,
  wanted: Always,
): OptionsOf<Options, Trainer, Always> {
  const found = Object.entries(options).filter(
    ([, { trainers, always }]) => trainers.includes(trainer) && always === wanted,
  );
  return Object.fromEntries(found) as OptionsOf<Options, Trainer, Always>;
}

/** The options of a trainer in its configuration; those of single losses are present if a loss reads them. */
export type OptionValues<Options, Trainer extends FamilyName> = Values<OptionsOf<Options, Trainer, true>> &
  Partial<Values<OptionsOf<Options, Trainer, false>>>;

/** What there is to know of a trainer's settings. */
export interface TrainerSettings<Table extends SettingTable = SettingTable> {
  readonly family: Family;
  /** Settings of every run. */
  readonly settings: Table;
  /** Options of single losses, which are settings of the runs that have these losses, and what else only some runs are given. */
  readonly options: SettingTable;
  /** Defaults that are not those of the declarations. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Defaults of runs that train an adapter. */
  readonly adapterDefaults: Readonly<Record<string, unknown>>;
}

/** A trainer's row, with defaults only for its own settings. */
export function trainer<Fam extends Family, Table extends SettingTable>(
  parts: { family: Fam; settings: Table; options?: SettingTable } & Record<
    'defaults' | 'adapterDefaults',
    Partial<Values<Table>>
  >,
): TrainerSettings<Table> & { readonly family: Fam } {
  return { options: {}, ...parts };
}

/** The learning rate of adapters, ten times that of full training. */
export const LORA_LEARNING_RATE = 1e-5;

export const ADAPTER = { adapterDefaults: { learningRate: LORA_LEARNING_RATE } };

// Names the groups themselves rather than the tables: a declaration file would lose the comments of spread tables.
export interface TrainingConfig extends Values<typeof TRAINING> {}
/** The common part of trainers on prompts and completions. */
export interface CompletionConfig extends TrainingConfig, Values<typeof REWARD>, Values<typeof LENGTH> {}

/** Settings of every run of these trainers. */
export const COMPLETIONS = { ...TRAINING, ...REWARD, ...LENGTH };

/** Settings as given by a caller: some of them, under any of their names. */
export type Args<Config, Table> = Partial<Config> & Spellings<Table>;

/** The same with a user-defined loss, whose options are settings of the run. */
export type WithOwnOptions<Given> = Given & {
  lossType: Loss | readonly LossType[];
  readonly [option: string]: unknown;
};

/** The defaults for full training. */
export function defaultsOf<Table extends SettingTable>({
  settings,
  defaults,
}: Pick<TrainerSettings<Table>, 'settings' | 'defaults'>): Values<Table> {
  const usual = Object.entries(settings).map(([name, setting]): [string, unknown] => [
    name,
    own(defaults, name) ?? setting.default,
  ]);
  return Object.fromEntries(usual) as Values<Table>;
}

/** How the decoder keeps its layers' activations under these settings. */
export function keptActivations({ gradientCheckpointing, savedActivations }: TrainingConfig): Kept {
  return gradientCheckpointing ? 'nothing' : savedActivations;
}
