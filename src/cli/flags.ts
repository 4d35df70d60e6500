/**
 * Options as commander's flags: a visible one for the help, and hidden ones for other accepted names. TRL's command lines
 * therefore work if they mean the same here, and give an explanation if they do not.
 */
import { type Command as Commander, InvalidArgumentError, Option } from 'commander';
import { own } from '../base/lookup.ts';
import { rangeText } from '../base/range.ts';
import type { Setting } from '../base/setting.ts';
import { quote } from '../io/errors.ts';
import type { Command } from './command.ts';
import { UsageError } from './failures.ts';
import { KINDS, type Kind } from './kinds.ts';
import { GROUPS, OPTIONS, type OptionName, SETTINGS } from './options.ts';

/** Adds a command's options, and names for which there is an explanation. */
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

/** The name of a setting on the command line. */
export function flagOf(name: string): string {
  return own(OPTIONS, name)?.flag ?? name;
}

/** One option with all of its flags. Giving two different ones, or two values of one, is an error. */
function addFlag(to: Commander, name: OptionName, about: string): void {
  const { flag, kind, group, names } = OPTIONS[name];
  let before: { long: string | undefined; text: string | null } | undefined;
  const add = (option: Option) => {
    // Hidden ones too: the first option of a group determines the group's position in the help.
    option.helpGroup(`${GROUPS[group]}:`);
    option.attributeName = () => name;
    to.addOption(option);
    to.on(`option:${option.name()}`, (text: string | null) => {
      const { long } = option;
      if (before && before.long !== long)
        throw new UsageError(`${before.long} and ${long} are the same option: leave one of them out.`);
      if (before && before.text !== text && !KINDS[kind].several) throw givenTwice(name, before.text, text);
      before = { long, text };
    });
  };
  const { placeholder } = KINDS[kind];
  const ours = new Option(placeholder ? `${flag} ${placeholder}` : flag, about);
  add(kind === 'switch' ? ours : ours.argParser(parser(kind)));
  // Python's argument parsers accept a value after a switch, too.
  const [value, parsed] = kind === 'switch' ? ['[true|false]', 'boolean' as const] : [placeholder, kind];
  for (const other of otherFlags(names, flag))
    add(new Option(`${other} ${value}`).hideHelp().argParser(parser(parsed)));
}

/** Without this check the last value would win, and the others would be dropped silently. */
function givenTwice(name: OptionName, ...texts: (string | null)[]): UsageError {
  const { flag, kind, again = KINDS[kind].again ?? 'leave one of them out' } = OPTIONS[name];
  return new UsageError(
    `${flag} is given twice, as ${texts.map((text) => quote(text)).join(' and ')}: ${again}.`,
  );
}

/** Parses the value after a flag by the rules of its kind; several texts add up. */
function parser(kind: Kind): (text: string, before: unknown) => unknown {
  const { fromText, read, expected, several } = KINDS[kind];
  return (text, before) => {
    const value = read(fromText(text));
    if (value === undefined) throw new InvalidArgumentError(`Give ${expected}.`);
    return several ? [...((before as string[] | undefined) ?? []), ...(value as string[])] : value;
  };
}

/** `--learning_rate` and `--learning-rate` for TRL's `learning_rate`, without the option's own flag. Only files use camelCase. */
function otherFlags(names: readonly string[], own: string): string[] {
  const flags = names
    .filter((name) => name === name.toLowerCase())
    .flatMap((name) => [`--${name}`, `--${name.replaceAll('_', '-')}`]);
  return [...new Set(flags)].filter((flag) => flag !== own);
}

/** The help text of an option: description, allowed values, whether it is required, and its default. */
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
