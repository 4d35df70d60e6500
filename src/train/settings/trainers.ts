/**
 * The trainers' settings: for each trainer its groups, and the defaults that are not those of the declarations. A new
 * trainer is one more row here, and a group of its own where it has settings that no other has. The order of a table is
 * that of the run's configuration, which checkpoints are known by.
 */
import { own } from '../../base/lookup.ts';
import type { SettingTable, Spellings, Values } from '../../base/setting.ts';
import { type Loss, OPTIONS } from '../../losses/catalogue.ts';
import { FAMILIES, type Family, type FamilyName, type LossType } from '../../losses/families.ts';
import { AHEAD, COMPARISON, LENGTH, LISTS, LOSS, MOVING, REFERENCE, REWARD, TEXTS, TURNS } from './losses.ts';
import { LABELS, OPTIMAL_VALUES, WRITTEN } from './online.ts';
import { PPO as PPO_SETTINGS } from './ppo.ts';
import { GROUP_RELATIVE, RETURNS, ROLLOUTS } from './rollouts.ts';
import { TRAINING } from './training.ts';

type Options = typeof OPTIONS;

/** The catalogue's options that a trainer has as settings: of every run, or of the runs whose losses read them. */
type OptionsOf<Trainer extends FamilyName, Always extends boolean> = {
  [Name in keyof Options as Trainer extends Options[Name]['trainers'][number]
    ? Options[Name]['always'] extends Always
      ? Name
      : never
    : never]: Options[Name];
};

function optionsOf<Trainer extends FamilyName, Always extends boolean>(
  trainer: Trainer,
  wanted: Always,
): OptionsOf<Trainer, Always> {
  const all: [string, { trainers: readonly FamilyName[]; always: boolean }][] = Object.entries(OPTIONS);
  const found = all.filter(([, { trainers, always }]) => trainers.includes(trainer) && always === wanted);
  return Object.fromEntries(found) as OptionsOf<Trainer, Always>;
}

/** Settings of every run of a trainer. */
const COMPLETIONS = { ...TRAINING, ...REWARD, ...LENGTH };
const DPO = {
  ...COMPLETIONS,
  ...LOSS,
  ...LISTS,
  ...optionsOf('dpo', true),
  ...REFERENCE,
  ...MOVING,
  ...AHEAD,
};
const CPO = { ...COMPLETIONS, ...LOSS, ...optionsOf('cpo', true) };
const ORPO = { ...COMPLETIONS, ...optionsOf('orpo', true) };
const KTO = { ...COMPLETIONS, ...LOSS, ...optionsOf('kto', true), ...AHEAD };
const SFT = { ...TRAINING, ...LENGTH, ...TEXTS };
const REWARD_MODEL = { ...TRAINING, ...LENGTH, ...COMPARISON, ...optionsOf('reward', true) };
const RLOO = { ...TRAINING, ...ROLLOUTS, ...RETURNS, ...optionsOf('rloo', true) };
const GRPO = { ...TRAINING, ...LOSS, ...ROLLOUTS, ...GROUP_RELATIVE, ...MOVING, ...optionsOf('grpo', true) };
const PPO = { ...TRAINING, ...PPO_SETTINGS, ...optionsOf('ppo', true) };
const ONLINE_DPO = { ...TRAINING, ...REWARD, ...LOSS, ...WRITTEN, ...LABELS };
const A2PO = { ...TRAINING, ...WRITTEN, ...OPTIMAL_VALUES };

/** The settings of all trainers together. */
export const ALL_SETTINGS = {
  ...PPO,
  ...RLOO,
  ...GRPO,
  ...ONLINE_DPO,
  ...A2PO,
  ...REWARD_MODEL,
  ...DPO,
  ...CPO,
  ...ORPO,
  ...KTO,
  ...SFT,
  ...TURNS,
  ...OPTIONS,
};

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

function trainer<Table extends SettingTable>(
  name: FamilyName,
  settings: Table,
  defaults: Record<'defaults' | 'adapterDefaults', Partial<Values<Table>>>,
): TrainerSettings<Table> {
  return { family: FAMILIES[name], settings, options: optionsOf(name, false), ...defaults };
}

/** The rate of adapters, ten times that of all weights. */
export const LORA_LEARNING_RATE = 1e-5;
export const SFT_LORA_LEARNING_RATE = 2e-4;
/** Of reward models, with an adapter and without. */
export const REWARD_LEARNING_RATE = 1e-4;

const ADAPTER = { adapterDefaults: { learningRate: LORA_LEARNING_RATE } };

/** The trainers, by the name of their command. */
export const TRAINERS = {
  dpo: trainer('dpo', DPO, { defaults: {}, ...ADAPTER }),
  cpo: trainer('cpo', CPO, { defaults: { lossType: FAMILIES.cpo.lossType }, ...ADAPTER }),
  orpo: trainer('orpo', ORPO, { defaults: {}, ...ADAPTER }),
  kto: trainer('kto', KTO, { defaults: { lossType: FAMILIES.kto.lossType }, ...ADAPTER }),
  sft: {
    ...trainer('sft', SFT, {
      defaults: { learningRate: 2e-5 },
      adapterDefaults: { learningRate: SFT_LORA_LEARNING_RATE },
    }),
    options: TURNS,
  },
  reward: trainer('reward', REWARD_MODEL, {
    defaults: { learningRate: REWARD_LEARNING_RATE },
    adapterDefaults: {},
  }),
  rloo: trainer('rloo', RLOO, { defaults: {}, ...ADAPTER }),
  grpo: trainer('grpo', GRPO, {
    defaults: { lossType: FAMILIES.grpo.lossType, beta: 0, numGenerations: 8 },
    ...ADAPTER,
  }),
  ppo: trainer('ppo', PPO, {
    defaults: { learningRate: 3e-6, maxCompletionLength: 53, temperature: 0.7 },
    adapterDefaults: { learningRate: 3e-5 },
  }),
  'online-dpo': trainer('online-dpo', ONLINE_DPO, {
    defaults: { learningRate: 5e-7, maxCompletionLength: 64, temperature: 0.9 },
    adapterDefaults: { learningRate: 5e-6 },
  }),
  a2po: trainer('a2po', A2PO, {
    defaults: { learningRate: 5e-5, maxCompletionLength: 256 },
    adapterDefaults: { learningRate: 5e-4 },
  }),
} as const satisfies Record<FamilyName, TrainerSettings>;

/** The options of a trainer in its configuration: those of single losses are there if a loss reads them. */
type OptionValues<Trainer extends FamilyName> = Values<OptionsOf<Trainer, true>> &
  Partial<Values<OptionsOf<Trainer, false>>>;

// Of the groups themselves, not of the tables above: a declaration file has no comments on what was spread.
export interface TrainingConfig extends Values<typeof TRAINING> {}
/** What trainers on prompts and completions have in common. */
export interface CompletionConfig extends TrainingConfig, Values<typeof REWARD>, Values<typeof LENGTH> {}
export interface DPOConfig
  extends CompletionConfig,
    Values<typeof LOSS>,
    Values<typeof LISTS>,
    OptionValues<'dpo'>,
    Values<typeof REFERENCE>,
    Values<typeof MOVING>,
    Values<typeof AHEAD> {}
export interface CPOConfig extends CompletionConfig, Values<typeof LOSS>, OptionValues<'cpo'> {}
export interface ORPOConfig extends CompletionConfig, OptionValues<'orpo'> {}
export interface KTOConfig
  extends CompletionConfig,
    Values<typeof LOSS>,
    OptionValues<'kto'>,
    Values<typeof AHEAD> {}
export interface SFTConfig
  extends TrainingConfig,
    Values<typeof LENGTH>,
    Values<typeof TEXTS>,
    Partial<Values<typeof TURNS>> {}
export interface RewardConfig
  extends TrainingConfig,
    Values<typeof LENGTH>,
    Values<typeof COMPARISON>,
    OptionValues<'reward'> {}
export interface OnlineDPOConfig
  extends TrainingConfig,
    Values<typeof REWARD>,
    Values<typeof LOSS>,
    Values<typeof WRITTEN>,
    Values<typeof LABELS> {}
export interface A2POConfig extends TrainingConfig, Values<typeof WRITTEN>, Values<typeof OPTIMAL_VALUES> {}
export interface RLOOConfig
  extends TrainingConfig,
    Values<typeof ROLLOUTS>,
    Values<typeof RETURNS>,
    OptionValues<'rloo'> {}
export interface GRPOConfig
  extends TrainingConfig,
    Values<typeof LOSS>,
    Values<typeof ROLLOUTS>,
    Values<typeof GROUP_RELATIVE>,
    Values<typeof MOVING>,
    OptionValues<'grpo'> {}

export interface PPOConfig extends TrainingConfig, Values<typeof PPO_SETTINGS>, OptionValues<'ppo'> {}

/** Settings as they may be given: some of them, by any of their names. */
type Args<Config, Table> = Partial<Config> & Spellings<Table>;

export type DPOArgs = Args<DPOConfig, typeof DPO & OptionsOf<'dpo', false>>;
export type CPOArgs = Args<CPOConfig, typeof CPO & OptionsOf<'cpo', false>>;
export type ORPOArgs = Args<ORPOConfig, typeof ORPO & OptionsOf<'orpo', false>>;
export type KTOArgs = Args<KTOConfig, typeof KTO & OptionsOf<'kto', false>>;
export type SFTArgs = Args<SFTConfig, typeof SFT & typeof TURNS>;
export type RewardArgs = Args<RewardConfig, typeof REWARD_MODEL>;
export type RLOOArgs = Args<RLOOConfig, typeof RLOO>;
export type OnlineDPOArgs = Args<OnlineDPOConfig, typeof ONLINE_DPO>;
export type A2POArgs = Args<A2POConfig, typeof A2PO>;
export type GRPOArgs = Args<GRPOConfig, typeof GRPO & OptionsOf<'grpo', false>>;
export type PPOArgs = Args<PPOConfig, typeof PPO>;

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
