/**
 * A run's configuration as arguments of TRL's configuration class, by what each declaration says of TRL.
 */
import { own } from '../../base/lookup.ts';
import type { RunSettings, SettingTable } from '../../base/setting.ts';
import { InputError, quote } from '../../io/errors.ts';
import { ALL_SETTINGS } from './trainers.ts';

/** Throws {@link InputError} for a setting that is not declared, and for what TRL cannot do. */
export function trlArguments(settings: RunSettings): Record<string, unknown> {
  const declared: SettingTable = ALL_SETTINGS;
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
