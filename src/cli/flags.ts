/**
 * Options as commander's flags: the one that the help shows, and hidden ones for the other names that are understood, so
 * that TRL's command lines work here where they mean the same, and say why where they do not.
 */
import { type Command as Commander, InvalidArgumentError, Option } from 'commander';
import { own } from '../base/lookup.ts';
import { rangeText } from '../base/range.ts';
import type { Setting } from '../base/setting.ts';
import type { Command } from './command.ts';
import { UsageError } from './failures.ts';
import { KINDS } from './kinds.ts';
import { GROUPS, OPTIONS, type OptionName, SETTINGS } from './options.ts';

/** Adds a command's options and the names that it knows something about. */
export function addFlags(to: Commander, names: readonly OptionName[], command: Command): void {
  for (const name of names) addFlag(to, name, aboutOption(name, command));
  const taken = new Set(to.options.map(({ long }) => long));
  for (const [name, reason] of Object.entries(command.reasons ?? {})) {
    const flag = `--${name}`;
    if (taken.has(flag)) continue;
    to.addOption(new Option(`${flag} [value]`).hideHelp());
    to.on(`option:${name}`, () => {
      throw new UsageError(`${flag} is not an option here: ${reason.toString(flagOf)}.`);
    });
  }
}

/** What a setting is called on the command line. */
export function flagOf(name: string): string {
  return own(OPTIONS, name)?.flag ?? name;
}

/** One option under all of its flags. Two different ones at once are refused. */
function addFlag(to: Commander, name: OptionName, about: string): void {
  const { flag, kind, group, names } = OPTIONS[name];
  const { placeholder, fromText, read, expected } = KINDS[kind];
  let before: string | undefined;
  const add = (option: Option) => {
    // Hidden ones too: the first option of a group gives the group its place in the help.
    option.helpGroup(`${GROUPS[group]}:`);
    option.attributeName = () => name;
    if (kind !== 'switch') {
      option.argParser((text: string, earlier: unknown) => {
        const value = read(fromText(text));
        if (value === undefined) throw new InvalidArgumentError(`Give ${expected}.`);
        return kind === 'texts'
          ? [...((earlier as string[] | undefined) ?? []), ...(value as string[])]
          : value;
      });
    }
    to.addOption(option);
    to.on(`option:${option.name()}`, () => {
      const { long } = option;
      if (before !== undefined && before !== long)
        throw new UsageError(`${before} and ${long} are the same option: leave one of them out.`);
      before = long;
    });
  };
  add(new Option(placeholder ? `${flag} ${placeholder}` : flag, about));
  for (const other of otherFlags(names, flag)) {
    // Python's parsers take a word behind a switch, too.
    const value = kind === 'switch' ? '[true|false]' : placeholder;
    const option = new Option(`${other} ${value}`).hideHelp();
    if (kind === 'switch') option.argParser((text: string) => truth(text));
    add(option);
  }
}

/** `--learning_rate` and `--learning-rate` for TRL's `learning_rate`, without the option's own. Files alone have camelCase. */
function otherFlags(names: readonly string[], own: string): string[] {
  const flags = names
    .filter((name) => name === name.toLowerCase())
    .flatMap((name) => [`--${name}`, `--${name.replaceAll('_', '-')}`]);
  return [...new Set(flags)].filter((flag) => flag !== own);
}

function truth(text: string): boolean {
  const value = own({ true: true, false: false }, text.toLowerCase());
  if (value === undefined) throw new InvalidArgumentError('Give true or false.');
  return value;
}

/** What the help says of an option: what it is, which values it takes, whether it is required, its default. */
function aboutOption(name: OptionName, { required, defaults, shown }: Command): string {
  const setting: Setting | undefined = own(SETTINGS, name);
  const usual = own(defaults, name) ?? own(shown ?? {}, name) ?? undefined;
  const notes = [
    setting?.range && rangeText(setting.range),
    setting?.choices?.join(', '),
    required.includes(name) && 'required',
    usual !== undefined && typeof usual !== 'boolean' && `default: ${[usual].flat().join(',')}`,
  ].filter(Boolean);
  const { help } = OPTIONS[name];
  return notes.length === 0 ? help : `${help} (${notes.join('; ')})`;
}
