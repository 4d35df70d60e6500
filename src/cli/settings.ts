/**
 * A command's settings from its three sources: what the command takes by default, a configuration file, and the flags,
 * each over the one before. Unknown names and wrong kinds are refused here; whether a number makes sense is for those who
 * use it to say.
 */
import { InputError, listed, quote } from '../io/errors.ts';
import { decodeText } from '../io/files.ts';
import { type JsonObject, parseJsonObject } from '../io/json.ts';
import { readFileIfAny } from '../node/folder.ts';
import { KINDS, namesInFile, OPTIONS, type OptionName, type Settings } from './options.ts';

/** Options that make no sense in a file. */
const FLAGS_ONLY: readonly OptionName[] = ['config', 'json', 'debug'];

/** Merges the sources. Throws {@link InputError} for a file that cannot be used. */
export async function mergeSettings(
  flags: Settings,
  options: readonly OptionName[],
  defaults: Settings,
): Promise<Settings> {
  const file = flags.config === undefined ? {} : await readSettings(flags.config, options);
  return { ...defaults, ...file, ...flags };
}

async function readSettings(path: string, options: readonly OptionName[]): Promise<Settings> {
  const bytes = await readFileIfAny(path);
  if (!bytes) throw new InputError(path, 'there is no such file', 'Check the path given to --config');
  return settingsFrom(parseJsonObject(decodeText(bytes, path), path), path, options);
}

/** Settings out of a JSON object, all unknown names in one error. */
export function settingsFrom(json: JsonObject, file: string, options: readonly OptionName[]): Settings {
  const allowed = options.filter((name) => !FLAGS_ONLY.includes(name));
  const known = new Map(allowed.flatMap((name) => namesInFile(name).map((alias) => [alias, name] as const)));
  const unknown = Object.keys(json).filter((key) => !known.has(key));
  if (unknown.length > 0) {
    const what = `no setting is called ${unknown.map((key) => quote(key)).join(', ')}`;
    throw new InputError(file, what, `Known are ${listed(allowed, allowed.length)}`);
  }
  const settings: Record<string, unknown> = {};
  for (const [key, given] of Object.entries(json)) {
    const name = known.get(key) as OptionName;
    const { read, expected } = KINDS[OPTIONS[name].kind];
    const value = read(given);
    if (value === undefined)
      throw new InputError(`${file}, "${key}"`, `is ${quote(given)}`, `Give ${expected}`);
    if (name in settings)
      throw new InputError(file, `gives ${quote(name)} twice, under two names`, 'Leave one out');
    settings[name] = value;
  }
  return settings;
}
