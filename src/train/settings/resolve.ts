/**
 * From a caller's options to the configuration of a run: resolves names, fills in defaults, and checks every value with its
 * declaration.
 */
import { isOwn, own } from '../../base/lookup.ts';
import { say, setting } from '../../base/sentence.ts';
import { beyond, number, type SettingTable } from '../../base/setting.ts';
import { didYouMean } from '../../base/suggest.ts';
import { InputError, quote } from '../../io/errors.ts';
import { LORA, type LoraArgs, type LoraConfig } from '../../io/lora-settings.ts';
import { namesOf, underOwnNames } from '../../io/setting-names.ts';
import {
  type Family,
  type LossSettings,
  LossSettingsError,
  type LossType,
  lossOf,
  type TrainingLoss,
} from '../../losses/family.ts';
import type { Loss } from '../../losses/loss.ts';
import { defaultsOf, type TrainerSettings, type TrainingConfig } from './trainer.ts';
import { PROGRAM_NAMES } from './trl-names.ts';

const WHERE = 'settings';

/**
 * The configuration of a run; a `peftConfig` of null selects the defaults of full training. The options of the losses
 * in `lossType` are settings too. Throws {@link InputError}.
 */
export function resolveConfig<Config extends TrainingConfig>(
  trainer: TrainerSettings,
  given: object = {},
  peftConfig?: object | null,
): Config {
  const { settings, options, defaults, adapterDefaults } = trainer;
  const known: SettingTable = { ...outsideOptions(trainer, given), ...settings, ...options };
  const named = underOwnNames(given, namesOf(known), WHERE, PROGRAM_NAMES);
  const config: Record<string, unknown> = {
    ...defaultsOf({ settings, defaults }),
    ...(peftConfig === null ? {} : adapterDefaults),
    ...defaultsOf({ settings: optionsInUse(trainer, known, named.lossType), defaults }),
    ...named,
  };
  checkValues(config, known);
  const { gradientCheckpointing, savedActivations } = config;
  if (gradientCheckpointing && savedActivations !== 'float32') {
    const what = say`${setting('gradientCheckpointing')} saves no activations, but ${setting('savedActivations')} asks for them in ${String(savedActivations)}`;
    throw new InputError(WHERE, what, 'Use only one of them');
  }
  // By the declarations that the type is computed from.
  return config as unknown as Config;
}

/** PEFT's settings with the defaults filled in; `targetModules` are those of the model. Throws {@link InputError}. */
export function resolveLoraConfig(
  given: LoraArgs,
  targetModules: readonly string[] = LORA.targetModules.default,
): LoraConfig {
  const named = underOwnNames(given, namesOf(LORA), WHERE, PROGRAM_NAMES);
  const config = { ...defaultsOf({ settings: LORA, defaults: { targetModules } }), ...named };
  checkValues(config, LORA);
  return config;
}

/** The loss for a family and a configuration. Throws {@link InputError}. */
export function resolveLoss(family: Family, config: LossSettings): TrainingLoss {
  try {
    return lossOf(family, config);
  } catch (error) {
    if (!(error instanceof LossSettingsError)) throw error;
    throw new InputError(WHERE, error.what, error.wayOut, { cause: error });
  }
}

/** Throws {@link InputError} for the first value that its declaration does not allow. */
export function checkValues(values: object, known: SettingTable): void {
  for (const [name, value] of Object.entries(values)) {
    const declaration = own(known, name);
    if (!declaration || declaration.fits(value)) continue;
    const found = typeof value === 'number' ? value : quote(value);
    const suggestion = typeof value === 'string' ? didYouMean(value, declaration.choices ?? []) : '';
    const wayOut = `${suggestion}${declaration.wayOut}${beyond(declaration, value)}`;
    throw new InputError(WHERE, say`${setting(name)} is ${found}`, wayOut);
  }
}

/** The options of the run's losses that are not settings of every run. */
function optionsInUse(
  { settings, family }: TrainerSettings,
  known: SettingTable,
  lossType: unknown = family.lossType,
): SettingTable {
  const read = ([lossType].flat() as LossType[]).flatMap((type) => {
    const loss = typeof type === 'string' ? family.losses.find(({ name }) => name === type) : type;
    return Object.keys(loss?.options ?? {});
  });
  const inUse = [...new Set(read)].filter((name) => isOwn(known, name) && !isOwn(settings, name));
  return Object.fromEntries(inUse.map((name) => [name, own(known, name)])) as SettingTable;
}

/** The options of user-defined losses, as settings; the first loss with an option declares it. */
function outsideOptions({ settings, options }: TrainerSettings, given: object): SettingTable {
  const names = ['lossType', ...(own(settings, 'lossType')?.names ?? [])];
  const types = names.flatMap((name) => own(given as Readonly<Record<string, unknown>>, name));
  const described = types.filter((type): type is Loss => typeof type === 'object' && type !== null);
  // A descriptor without options is rejected together with other invalid values.
  const all = described.flatMap((loss) => Object.entries(loss.options ?? {})).toReversed();
  const others = all.filter(([name]) => !isOwn(settings, name) && !isOwn(options, name));
  return Object.fromEntries(
    others.map(([name, { default: usual, range = {} }]) => [
      name,
      number({ default: usual, range, group: 'loss', help: 'an option of the loss', trl: null }),
    ]),
  );
}
