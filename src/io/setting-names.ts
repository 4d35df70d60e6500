/**
 * Maps the names that users write to those of settings, in programs and in files: other accepted names are mapped, a
 * setting given under two names is rejected, and an unknown name gets the reason or a suggestion.
 */
import { own } from '../base/lookup.ts';
import { Sentence, say, setting, type Words } from '../base/sentence.ts';
import { nearest } from '../base/suggest.ts';
import { InputError, listed, quote } from './errors.ts';

/** Every accepted name, with the setting's own name. */
export type KnownNames = ReadonlyMap<string, string>;

/** Explanations for names that are not supported. */
export type Reasons = Readonly<Record<string, Words>>;

/** All accepted names of the settings in a table. */
export function namesOf(table: Readonly<Record<string, { readonly names: readonly string[] }>>): KnownNames {
  const pairs = Object.entries(table).flatMap(([name, { names }]) =>
    [name, ...names].map((each): [string, string] => [each, name]),
  );
  return new Map(pairs);
}

/** The given values under the settings' own names; undefined values are ignored. Throws {@link InputError}. */
export function underOwnNames(
  given: object,
  known: KnownNames,
  where: string,
  reasons: Reasons = {},
): Record<string, unknown> {
  const unknown = Object.keys(given).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const what = `unknown settings: ${listed(unknown.map((name) => quote(name)))}`;
    throw new InputError(where, what, wayOutOf(unknown, known, reasons));
  }
  const found = new Map<string, { as: string; value: unknown }>();
  for (const [as, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const name = known.get(as)!;
    const before = found.get(name);
    if (before) {
      const what = say`${setting(name)} is given twice, as ${quote(before.as)} and ${quote(as)}`;
      throw new InputError(where, what, 'Leave one out');
    }
    found.set(name, { as, value });
  }
  return Object.fromEntries([...found].map(([name, { value }]) => [name, value]));
}

/** The known reasons, otherwise suggestions and the list of names. */
function wayOutOf(unknown: readonly string[], known: KnownNames, reasons: Reasons): Words {
  const told = unknown.flatMap((name) => {
    const reason = own(reasons, name);
    return reason === undefined ? [] : [say`${name}: ${reason}`];
  });
  const meant = unknown.flatMap((name) => {
    const close = own(reasons, name) === undefined ? nearest(name, [...known.keys()]) : undefined;
    return close === undefined ? [] : [known.get(close)!];
  });
  if (told.length === unknown.length) return joined(told);
  const suggestion = meant.length > 0 ? [`Did you mean ${[...new Set(meant)].join(', ')}?`] : [];
  const names = [...new Set(known.values())];
  return joined(
    [
      ...told.map((reason) => say`${reason}.`),
      `${[...suggestion, ''].join(' ')}Supported settings: ${listed(names, 40)}`,
    ],
    ' ',
  );
}

function joined(all: readonly Words[], separator = '. '): Sentence {
  return new Sentence(all.flatMap((words, i) => say`${i === 0 ? '' : separator}${words}`.parts));
}
