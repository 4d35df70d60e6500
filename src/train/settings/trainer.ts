/**
 * What there is to know of a trainer's settings, and what the settings of all trainers have in common. Each trainer's stand in a file
 * of their own, so that a page loads those of the trainers that it has; `trainers.ts` lists them.
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

/** The options of losses that a trainer has as settings: of every run, or of the runs whose losses read them. */
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

/** The options of a trainer in its configuration: those of single losses are there if a loss reads them. */
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

/** A trainer's row, whose defaults are of its own settings. */
export function trainer<Fam extends Family, Table extends SettingTable>(
  parts: { family: Fam; settings: Table; options?: SettingTable } & Record<
    'defaults' | 'adapterDefaults',
    Partial<Values<Table>>
  >,
): TrainerSettings<Table> & { readonly family: Fam } {
  return { options: {}, ...parts };
}

/** The rate of adapters, ten times that of all weights. */
export const LORA_LEARNING_RATE = 1e-5;

export const ADAPTER = { adapterDefaults: { learningRate: LORA_LEARNING_RATE } };

// Of the groups themselves, not of the tables: a declaration file has no comments on what was spread.
export interface TrainingConfig extends Values<typeof TRAINING> {}
/** What trainers on prompts and completions have in common. */
export interface CompletionConfig extends TrainingConfig, Values<typeof REWARD>, Values<typeof LENGTH> {}

/** Settings of every run of these. */
export const COMPLETIONS = { ...TRAINING, ...REWARD, ...LENGTH };

/** Settings as they may be given: some of them, by any of their names. */
export type Args<Config, Table> = Partial<Config> & Spellings<Table>;

/** The same beside a loss from outside, whose options are settings of the run. */
export type WithOwnOptions<Given> = Given & {
  lossType: Loss | readonly LossType[];
  readonly [option: string]: unknown;
};

/** The values that hold where nothing is given, all weights training. */
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

/** What the decoder keeps of its layers under these settings. */
export function keptActivations({ gradientCheckpointing, savedActivations }: TrainingConfig): Kept {
  return gradientCheckpointing ? 'nothing' : savedActivations;
}
