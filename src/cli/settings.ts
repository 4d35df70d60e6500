/**
 * A command's settings from its three sources: what the command takes by default, a configuration file, and the flags,
 * each over the one before. Unknown names and wrong kinds are refused here; whether a number makes sense is for those who use
 * it to say.
 */
import { InputError, quote } from '../io/errors.ts';
import { decodeText } from '../io/files.ts';
import { type JsonObject, parseJsonObject } from '../io/json.ts';
import { namesOf, type Reasons, underOwnNames } from '../io/setting-names.ts';
import { readFileIfAny } from '../node/folder.ts';
import { KINDS } from './kinds.ts';
import { OPTIONS, type OptionName, type Settings } from './options.ts';

/** Options that make no sense in a file. */
const FLAGS_ONLY: readonly OptionName[] = ['config', 'json', 'debug', 'method'];

/** What a command takes. */
export interface Accepted {
  options: readonly OptionName[];
  defaults: Settings;
  /** What there is to say of names that are no options. */
  reasons?: Reasons | undefined;
}

/** Merges the sources; `fromFile` names what the file has decided. Throws {@link InputError}. */
export async function mergeSettings(
  flags: Settings,
  { options, defaults, reasons }: Accepted,
): Promise<{ settings: Settings; fromFile: ReadonlySet<string> }> {
  const file = flags.config === undefined ? {} : await readSettings(flags.config, options, reasons);
  const given = Object.keys(flags);
  const fromFile = new Set(Object.keys(file).filter((name) => !given.includes(name)));
  return { settings: { ...defaults, ...file, ...flags }, fromFile };
}

async function readSettings(
  path: string,
  options: readonly OptionName[],
  reasons?: Reasons,
): Promise<Settings> {
  const bytes = await readFileIfAny(path);
  if (!bytes) throw new InputError(path, 'there is no such file', 'Check the path given to --config');
  return settingsFrom(parseJsonObject(decodeText(bytes, path), path), path, options, reasons);
}

/** Settings out of a JSON object, all unknown names in one error. */
export function settingsFrom(
  json: JsonObject,
  file: string,
  options: readonly OptionName[],
  reasons?: Reasons,
): Settings {
  const allowed = options.filter((name) => !FLAGS_ONLY.includes(name));
  const known = namesOf(Object.fromEntries(allowed.map((name) => [name, OPTIONS[name]])));
  underOwnNames(json, known, file, reasons);
  const read = Object.entries(json).map(([key, given]): [string, unknown] => {
    const { read, expected } = KINDS[OPTIONS[known.get(key) as OptionName].kind];
    const value = read(given);
    if (value !== undefined) return [key, value];
    throw new InputError(`${file}, "${key}"`, `is ${quote(given)}`, `Give ${expected}`);
  });
  return underOwnNames(Object.fromEntries(read), known, file);
}
