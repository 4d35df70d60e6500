/**
 * A run's configuration as arguments of TRL's configuration class, as the declarations define.
 */
import { own } from '../../base/lookup.ts';
import { say, setting } from '../../base/sentence.ts';
import type { RunSettings, SettingTable } from '../../base/setting.ts';
import { InputError, quote } from '../../io/errors.ts';
import { LOSSES } from '../../losses/catalogue.ts';
import { ALL_SETTINGS } from './trainers.ts';

/** Throws {@link InputError} for an undeclared setting, and for anything that TRL cannot do. */
export function trlArguments(settings: RunSettings): Record<string, unknown> {
  const declared: SettingTable = ALL_SETTINGS;
  for (const type of [settings.lossType].flat()) requireInTrl(String(type), settings);
  const written = Object.entries(settings).map(([name, value]) => {
    const declaration = own(declared, name);
    if (!declaration) {
      const wayOut = 'Export the run with the version that trained it';
      throw new InputError('settings', `no setting is called ${quote(name)}`, wayOut);
    }
    const { trl } = declaration;
    if (trl === null || value === null) return {};
    return typeof trl === 'string' ? { [trl]: value } : trl.write(settings);
  });
  return Object.assign({}, ...written);
}

/** Throws {@link InputError} for a loss that TRL does not have, or not with these options. */
function requireInTrl(name: string, settings: RunSettings): void {
  const loss = own(LOSSES, name);
  if (!loss) return;
  const { trl, options } = loss;
  if (trl === false) throw new InputError('settings', `TRL has no loss ${name}`, 'Train with another loss');
  for (const [option, value] of Object.entries(trl ?? {})) {
    if ((own(settings, option) ?? own(options, option)?.default) === value) continue;
    const what = say`TRL's ${name} only supports ${setting(option)} ${value}`;
    throw new InputError('settings', what, say`Train with ${setting(option)} ${value}`);
  }
}
