/**
 * A command: its data and one function. The program is built from a list of these.
 */
import type { Reasons } from '../io/setting-names.ts';
import type { OptionName, Settings } from './options.ts';
import type { Terminal } from './terminal.ts';

export interface CommandContext<Given extends Settings = Settings> {
  settings: Given;
  terminal: Terminal;
  /** Aborts with an `InterruptedError` when the user or the system stops the program. */
  signal: AbortSignal;
}

export interface CommandResult {
  /** The value that `--json` prints. */
  json: object;
  /** True if the result is a failure, which sets the exit code. */
  failed?: boolean;
}

/** Settings of which some are always present: required ones, and those with a default. */
type Given<Sure extends OptionName> = Settings & { [Name in Sure]-?: NonNullable<Settings[Name]> };

export interface Command {
  name: string;
  /** Former names, which still work. */
  aliases?: readonly string[];
  /** One line for the list of commands. */
  summary: string;
  description: string;
  /** An example line that works, without the leading `webalign`. */
  example: string;
  options: readonly OptionName[];
  required: readonly OptionName[];
  defaults: Settings;
  /** Explanations for names that are not options. */
  reasons?: Reasons;
  /** Defaults that come from elsewhere, for the help. */
  shown?: { readonly [Name in OptionName]?: unknown };
  run(context: CommandContext): Promise<CommandResult>;
}

/** A command; its `run` gets a type in which required settings are present. */
export function command<const Required extends OptionName, const Defaults extends Settings>(
  definition: Omit<Command, 'required' | 'defaults' | 'run'> & {
    required: readonly Required[];
    defaults: Defaults;
    run(context: CommandContext<Given<Required | (keyof Defaults & OptionName)>>): Promise<CommandResult>;
  },
): Command {
  // The program checks that required settings were given before it runs a command.
  return definition as unknown as Command;
}
