/**
 * The command line as a whole: turns the tables of commands and options into commander's, runs one command, and ends
 * the program. However a command ends, stdout is flushed and `--json` prints its last line.
 */
import { Command as Commander, CommanderError } from 'commander';
import type { Wording } from '../base/sentence.ts';
import type { Command } from './command.ts';

import { align } from './commands/align.ts';
import { bestOfNCommand } from './commands/best-of-n.ts';
import { doctor } from './commands/doctor.ts';
import { exportCommand } from './commands/export.ts';
import { generateCommand } from './commands/generate.ts';
import { logprobs } from './commands/logprobs.ts';
import { loss } from './commands/loss.ts';
import { planCommand } from './commands/plan.ts';
import { reward } from './commands/reward.ts';
import { sacpo } from './commands/sacpo.ts';
import { score } from './commands/score.ts';
import { trainCommands } from './commands/train.ts';
import { EXIT, failureOf, UsageError } from './failures.ts';
import { addFlags, flagOf } from './flags.ts';
import { GROUPS, OPTIONS, type OptionName, type Settings } from './options.ts';
import { mergeSettings } from './settings.ts';
import { type Streams, Terminal } from './terminal.ts';

/** The public commands. A command whose options depend on its arguments is built from the arguments. */
const COMMANDS: readonly (Command | ((args: readonly string[]) => Command))[] = [
  align,
  ...trainCommands,
  sacpo,
  generateCommand,
  bestOfNCommand,
  logprobs,
  reward,
  score,
  exportCommand,
  planCommand,
  loss,
  doctor,
];
/** Every command has these. */
const COMMON: readonly OptionName[] = ['config', 'memoryCap', 'variant', 'tune', 'json', 'debug'];
const HELP_WIDTH = 100;

/** The environment of a run of the program, besides its arguments. */
export interface ProgramOptions {
  signal: AbortSignal;
  version: string;
  /** Commands of a higher layer, listed after the ones here. */
  studies: readonly Command[];
  streams?: Streams;
}

/** Runs the command named in `args` (without `node` and the script); resolves to the exit code. */
export async function runProgram(
  args: readonly string[],
  { signal, version, studies, streams = process }: ProgramOptions,
): Promise<number> {
  // Read before parsing, so that a wrong flag is reported in the same form.
  const terminal = new Terminal(args.includes('--json'), streams);
  let code: number = EXIT.done;
  // Errors use the names that the user gave: flags, or the setting's own name if it came from a file or is not an option.
  let word: Wording = (name) => name;
  const run = async (command: Command, flags: Settings): Promise<void> => {
    const options: readonly OptionName[] = [...command.options, ...COMMON];
    const { settings, fromFile } = await mergeSettings(flags, { ...command, options });
    const isFlag = (name: string) => options.some((option) => option === name) && !fromFile.has(name);
    word = (name) => (isFlag(name) ? flagOf(name) : name);
    const missing = command.required.filter((name) => settings[name] === undefined);
    if (missing.length > 0) {
      const flagsMissing = missing.map((name) => OPTIONS[name].flag).join(', ');
      throw new UsageError(`${command.name} needs ${flagsMissing}. See webalign ${command.name} --help.`);
    }
    const { json, failed } = await command.run({ settings, terminal, signal });
    terminal.result(json);
    if (failed) code = EXIT.failed;
  };
  try {
    await build(run, terminal, { version, args, studies }).parseAsync([...args], { from: 'user' });
  } catch (error) {
    code = report(error, word, terminal, args.includes('--debug'));
  }
  await terminal.flush();
  return code;
}

/** Prints an error and returns its exit code. */
function report(error: unknown, word: Wording, terminal: Terminal, debug: boolean): number {
  if (error instanceof CommanderError) {
    // Help or version was requested; otherwise commander has printed the error to stderr.
    if (error.exitCode === 0) return EXIT.done;
    terminal.result({ error: { name: 'UsageError', message: error.message.replace(/^error: /, '') } });
    return EXIT.usage;
  }
  const { code, name, message, stack } = failureOf(error, word);
  terminal.info(`webalign: ${message}`);
  if (debug) terminal.info(stack);
  terminal.result({ error: { name, message } });
  return code;
}

function build(
  run: (command: Command, flags: Settings) => Promise<void>,
  terminal: Terminal,
  { version, args, studies }: Pick<ProgramOptions, 'version' | 'studies'> & { args: readonly string[] },
): Commander {
  const program = new Commander('webalign')
    .description('Align small language models on the GPU, through WebGPU.')
    .version(version, '--version')
    .helpCommand(false)
    .showHelpAfterError('Add --help for a list of options.');
  for (const listed of [...COMMANDS, ...studies]) {
    const command = typeof listed === 'function' ? listed(args) : listed;
    const sub = program
      .command(command.name)
      .aliases(command.aliases ?? [])
      .summary(command.summary)
      .description(command.description)
      .allowExcessArguments(false)
      .addHelpText('after', `\nExample:\n  $ webalign ${command.example}`)
      .action((values: Settings, self: Commander) => run(command, given(values, self)));
    addFlags(sub, inGroups([...command.options, ...COMMON]), command);
  }
  for (const each of [program, ...program.commands]) {
    each
      .exitOverride()
      .configureHelp({ helpWidth: HELP_WIDTH })
      .configureOutput({
        writeErr: (text) => terminal.info(text.trimEnd()),
        writeOut: (text) => terminal.print(text.trimEnd()),
      });
  }
  return program;
}

/** The values from the command line, without commander's own defaults for switches. */
function given(values: Settings, self: Commander): Settings {
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => self.getOptionValueSource(name) === 'cli'),
  );
}

function inGroups(names: readonly OptionName[]): OptionName[] {
  const order = Object.keys(GROUPS);
  return [...names].sort((a, b) => order.indexOf(OPTIONS[a].group) - order.indexOf(OPTIONS[b].group));
}
