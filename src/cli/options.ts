/**
 * Every option of every command: its flag, the kind of its value, its help. Settings of runs become options through their
 * declarations; options that only commands have are rows here. An option's name is its name in a configuration file,
 * TRL's or PEFT's where possible. The commands define which options they take and what they do with them.
 * command.
 */
import {
  camelCase,
  type KindName,
  GROUPS as SETTING_GROUPS,
  type Setting,
  type SettingTable,
  separated,
  type ValueOf,
} from '../base/setting.ts';
import { LORA } from '../io/lora-settings.ts';
import { VARIANT_NAMES } from '../ops/variants.ts';
import { ALL_SETTINGS } from '../train/settings/trainers.ts';
import type { Kind, KindValues } from './kinds.ts';

export interface OptionRow {
  /** The long flag. */
  flag: string;
  kind: Kind;
  group: keyof typeof GROUPS;
  help: string;
  /** Other accepted names, in files and, after dashes, on the command line. */
  names: readonly string[];
  /** What to do instead of giving it twice. */
  again?: string;
}

/** Headings of the help, in order. */
export const GROUPS = { files: 'Files', text: 'Generation', ...SETTING_GROUPS, output: 'Output' } as const;

/** An option of commands; `names` are TRL's names for the same. */
const row = <K extends Kind>(
  flag: `--${string}`,
  kind: K,
  group: OptionRow['group'],
  help: string,
  names: readonly string[] = [],
) => ({ flag, kind, group, help, names: [camelCase(flag.slice(2)), ...names] });

// biome-ignore format: a row for each option
const COMMAND_OPTIONS = {
  model: row('--model', 'source', 'files', 'folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json), owner/name on the Hub, or a URL', ['model_name_or_path']),
  revision: row('--revision', 'text', 'files', 'branch, tag or commit of a model on the Hub', ['model_revision']),
  token: row('--token', 'text', 'files', 'Hub token; other users can see command lines, so prefer HF_TOKEN'),
  refresh: row('--refresh', 'switch', 'files', 'check whether the branch on the Hub has moved, even if it is cached'),
  dtype: row('--dtype', 'text', 'files', 'precision of frozen matrices: auto (as stored), float32, float16, bfloat16, q8_0 or q4_0', ['torch_dtype']),
  adapter: row('--adapter', 'texts', 'files', 'folder of a PEFT adapter to apply to the model; several add up in the given order'),
  initAdapter: row('--init-adapter', 'path', 'files', 'folder of a PEFT adapter to continue training, instead of a new one'),
  q: row('--q', 'number', 'files', 'scale of the last adapter, from 0 to 1'),
  method: row('--method', 'text', 'files', 'the command to plan: dpo, sft, rloo and so on'),
  stages: row('--stages', 'path', 'files', 'JSON file of the stages to train'),
  data: row('--data', 'paths', 'files', 'training data: JSON Lines, CSV or Parquet with the columns prompt, chosen and rejected, or those of the command; may be given several times'),
  dataWeights: row('--data-weights', 'numbers', 'files', 'share of each --data file in the training rows, in the same order: 0.7,0.3; default: all rows', ['data_weights']),
  stoppingStrategy: row('--stopping-strategy', 'text', 'files', 'with --data-weights: first_exhausted stops when the first file is used up and repeats no row (default); all_exhausted stops at the last and drops no row', ['stopping_strategy']),
  evalData: { ...row('--eval-data', 'path', 'files', 'rows held out for evaluation, in the same form'), again: 'put the rows of both files into one' },
  evalSplit: row('--eval-split', 'number', 'files', 'rows of --data to hold out instead: a fraction below 1, or a number of rows'),
  input: row('--input', 'path', 'files', 'input file: texts, one JSON object per line with "text" or "ids", or cases for a loss'),
  reward: row('--reward', 'texts', 'files', 'reward of completions: sentiment, length, repetition, overlong, think_format, accuracy (column solution), a file such as reward.mjs, or the folder of a reward model or its adapter; several add up'),
  logCompletions: row('--log-completions', 'switch', 'output', 'write completions with their rewards to completions.jsonl in --out', ['log_completions']),
  report: { ...row('--no-report', 'switch', 'output', 'write no report.html'), names: ['report'] },
  reportSamples: row('--report-samples', 'number', 'output', 'number of texts in report.html, each written before and after training; 0 for none'),
  logCsv: row('--log-csv', 'switch', 'output', 'write the logged metrics to log.csv in --out'),
  openings: row('--openings', 'path', 'files', 'beginnings of stories, one per line'),
  out: row('--out', 'path', 'files', 'folder to write to', ['output_dir']),
  format: row('--format', 'text', 'files', 'peft, merged, merged-gguf, gguf or trl'),
  tokenIds: row('--token-ids', 'switch', 'files', 'with --format trl: export the token ids too, and train on those'),
  work: row('--work', 'path', 'files', 'folder for intermediate files'),
  config: row('--config', 'path', 'files', 'settings from a JSON file, by their names or TRL\'s: {"beta": 0.1, "r": 8}; flags take precedence'),

  prompt: row('--prompt', 'prompts', 'text', 'text to continue; may be given several times'),
  chat: row('--chat', 'switch', 'text', 'chat with the model through its chat template; type messages, or send one per line to stdin'),
  system: row('--system', 'text', 'text', 'with --chat: the system message'),
  messages: row('--messages', 'path', 'text', 'with --chat: conversations to answer, JSON {"messages": [{"role", "content"}, ...]}, or one per line'),
  maxTokens: row('--max-tokens', 'number', 'text', 'maximum number of new tokens'),
  temperature: row('--temperature', 'number', 'text', 'divides the logits; 0 always takes the most likely token'),
  topK: row('--top-k', 'number', 'text', 'sample from the k most likely tokens; 0 for all'),
  topP: row('--top-p', 'number', 'text', 'sample from the most likely tokens that together have this probability'),
  minP: row('--min-p', 'number', 'text', "sample from tokens with at least this fraction of the highest probability"),
  repetitionPenalty: row('--repetition-penalty', 'number', 'text', 'above 1, makes tokens that already occur less likely; 1 has no effect'),
  n: row('--n', 'number', 'text', 'continuations of each prompt'),

  full: row('--full', 'switch', 'training', 'train all weights and write a whole model, no adapter'),

  pairs: row('--pairs', 'number', 'run', 'pairs for training'),
  heldOut: row('--held-out', 'number', 'run', 'pairs for evaluation, from other openings'),
  completions: row('--completions', 'number', 'run', 'completions to choose from, for each opening'),
  margin: row('--margin', 'number', 'run', 'minimum difference in sentiment of a pair'),
  quick: row('--quick', 'switch', 'run', 'only a few steps, to check that everything works'),
  resume: row('--resume', 'switch', 'run', 'continue from the checkpoint in --out, bit for bit; if there is none, start from the beginning'),
  overwrite: row('--overwrite', 'switch', 'run', 'replace the files of an earlier run in --out', ['overwrite_output_dir']),
  memoryCap: row('--memory-cap', 'bytes', 'run', 'limit of GPU memory, such as 2GiB or 512MiB; checked before training'),
  variant: row('--variant', 'list', 'run', `kernel variants to use for operations that have one of them: ${VARIANT_NAMES.join(', ')}`),
  tune: row('--tune', 'toggle', 'run', 'measure kernel variants before training and store the fastest; on by default on GPUs'),
  profile: row('--profile', 'switch', 'run', 'time every kernel, if the adapter supports it'),
  ci: row('--ci', 'switch', 'run', 'also look for a browser with WebGPU, and show the versions in use'),
  junit: row('--junit', 'path', 'output', 'file for the checks, as JUnit XML'),

  json: row('--json', 'switch', 'output', 'one JSON object as the last line of stdout, everything else on stderr'),
  debug: row('--debug', 'switch', 'output', 'show the stack trace of an error'),
} as const satisfies Record<string, OptionRow>;

/** All settings of runs. */
export const SETTINGS = { ...ALL_SETTINGS, ...LORA };

/** How a setting's kind is written here. */
const KINDS_OF_SETTINGS: Readonly<Record<KindName, Kind>> = {
  number: 'number',
  whole: 'number',
  boolean: 'switch',
  choice: 'text',
  names: 'list',
  numbers: 'numbers',
  losses: 'list',
};

/** A setting as an option. */
function optionOf(name: string, { kind, default: usual, group, help, off, flag, names }: Setting): OptionRow {
  const long = flag ?? separated(name, '-');
  return {
    flag: off === undefined ? `--${long}` : `--no-${long}`,
    // A boolean with the default null takes a value, true or false; other booleans are switches.
    kind: kind === 'boolean' && usual === null ? 'boolean' : KINDS_OF_SETTINGS[kind],
    group,
    help: off ?? help,
    names,
  };
}

type Commands = typeof COMMAND_OPTIONS;
type Declared = typeof SETTINGS;

/** On the command line, losses are given by name; descriptors are for programs. */
type Written<Value> = Value extends readonly (infer Item)[]
  ? Extract<Item, string | number>[]
  : Exclude<Value, object | null>;

/** Values by name; undefined if not given. */
export type Settings = { [Name in keyof Commands]?: KindValues[Commands[Name]['kind']] } & {
  [Name in Exclude<keyof Declared, 'lossType'>]?: Written<ValueOf<Declared[Name]>>;
} & { lossType?: string[] };

export type OptionName = keyof Commands | keyof Declared;

export const OPTIONS: Readonly<Record<OptionName, OptionRow>> = {
  ...(Object.fromEntries(
    Object.entries(SETTINGS as SettingTable).map(([name, setting]) => [name, optionOf(name, setting)]),
  ) as Record<keyof Declared, OptionRow>),
  // A command may describe an option differently from the trainer's setting.
  ...COMMAND_OPTIONS,
};

/** Options of every command that opens a model. */
export const MODEL_OPTIONS = ['model', 'revision', 'token', 'refresh'] as const satisfies OptionName[];

/** The options that determine the rows of a run. */
export const DATA_OPTIONS = [
  'data',
  'dataWeights',
  'stoppingStrategy',
  'evalData',
  'evalSplit',
] as const satisfies OptionName[];

/** Options of LoRA. */
export const LORA_OPTIONS = Object.keys(LORA) as (keyof typeof LORA)[];

/** The given settings among these names. */
export function pick<Name extends OptionName>(
  settings: Settings,
  names: readonly Name[],
): Pick<Settings, Name> {
  const given = names.filter((name) => settings[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, settings[name]])) as Pick<Settings, Name>;
}
