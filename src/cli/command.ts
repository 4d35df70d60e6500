/**
 * What a command is: data, and one function. The program is built from a list of these.
 */
import type { Reasons } from '../io/setting-names.ts';
import type { OptionName, Settings } from './options.ts';
import type { Terminal } from './terminal.ts';

export interface CommandContext<Given extends Settings = Settings> {
  settings: Given;
  terminal: Terminal;
  /** Aborts with an `InterruptedError` when someone wants the program to stop. */
  signal: AbortSignal;
}

export interface CommandResult {
  /** What `--json` prints. */
  json: object;
  /** True where the answer is bad news: the exit code says so. */
  failed?: boolean;
}

/** Settings in which some are sure to be there: required ones, and those with a default. */
type Given<Sure extends OptionName> = Settings & { [Name in Sure]-?: NonNullable<Settings[Name]> };

export interface Command {
  name: string;
  /** Former names, which are still understood. */
  aliases?: readonly string[];
  /** One line for the list of commands. */
  summary: string;
  description: string;
  /** A line that works, without `webalign` before it. */
  example: string;
  options: readonly OptionName[];
  required: readonly OptionName[];
  defaults: Settings;
  /** What there is to say of names that are no options. */
  reasons?: Reasons;
  /** Defaults that others fill in, for the help. */
  shown?: { readonly [Name in OptionName]?: unknown };
  run(context: CommandContext): Promise<CommandResult>;
}

/** A command whose `run` sees which settings are sure to be there. */
export function command<const Required extends OptionName, const Defaults extends Settings>(
  definition: Omit<Command, 'required' | 'defaults' | 'run'> & {
    required: readonly Required[];
    defaults: Defaults;
    run(context: CommandContext<Given<Required | (keyof Defaults & OptionName)>>): Promise<CommandResult>;
  },
): Command {
  // The program checks that the required ones were given before it runs a command.
  return definition as unknown as Command;
}
