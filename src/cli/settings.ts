/**
 * A command's settings from three sources: the command's defaults, a configuration file, and the flags,
 * each overriding the one before. Rejects unknown names and wrong types; the code that uses a number checks its
 * range.
 */
import { InputError, quote } from '../io/errors.ts';
import { decodeText } from '../io/files.ts';
import { type JsonObject, parseJsonObject } from '../io/json.ts';
import { namesOf, type Reasons, underOwnNames } from '../io/setting-names.ts';
import { readFileIfAny } from '../node/folder.ts';
import { KINDS } from './kinds.ts';
import { OPTIONS, type OptionName, type Settings } from './options.ts';

/** Options that are not allowed in a file. */
const FLAGS_ONLY: readonly OptionName[] = ['config', 'json', 'debug', 'method'];

/** The options of a command. */
export interface Accepted {
  options: readonly OptionName[];
  defaults: Settings;
  /** Explanations for names that are not options. */
  reasons?: Reasons | undefined;
}

/** Merges the sources; `fromFile` lists the names that the file has set. Throws {@link InputError}. */
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
  if (!bytes) throw new InputError(path, 'file not found', 'Check the path given to --config');
  return settingsFrom(parseJsonObject(decodeText(bytes, path), path), path, options, reasons);
}

/** Settings from a JSON object, with all unknown names in one error. */
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
