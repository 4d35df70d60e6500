/**
 * Every option of every command: its flag, what kind of value it takes, what it says in the help. Settings of runs are
 * options by their declarations; what only commands have is a row here. An option's name is what a configuration file calls
 * it, TRL's or PEFT's where they have one. Which command takes which option, and what it does with it, stands with the
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
  /** Names beside the option's own, in files and, behind dashes, on the command line. */
  names: readonly string[];
  /** What to do instead of giving it a second time. */
  again?: string;
}

/** Headings of the help, in their order. */
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
  model: row('--model', 'source', 'files', 'folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json), owner/name on its hub, or an address', ['model_name_or_path']),
  revision: row('--revision', 'text', 'files', 'branch, tag or commit of a model on the hub', ['model_revision']),
  token: row('--token', 'text', 'files', 'token of the hub; others can see it there: better set HF_TOKEN'),
  refresh: row('--refresh', 'switch', 'files', 'ask the hub whether the branch has moved, though the cache has it'),
  dtype: row('--dtype', 'text', 'files', 'precision of frozen matrices: auto (as stored), float32, float16, bfloat16, q8_0 or q4_0', ['torch_dtype']),
  adapter: row('--adapter', 'texts', 'files', 'folder of a PEFT adapter to put on the model; several, given in turn, add up'),
  initAdapter: row('--init-adapter', 'path', 'files', 'folder of a PEFT adapter to go on training, in place of a fresh one'),
  q: row('--q', 'number', 'files', 'how much of the last adapter counts, from 0 to 1'),
  method: row('--method', 'text', 'files', 'the command that is planned: dpo, sft, rloo and so on'),
  stages: row('--stages', 'path', 'files', 'JSON file of the stages to train'),
  data: row('--data', 'paths', 'files', 'what to learn from: JSON Lines, CSV or Parquet with prompt, chosen, rejected, or what the command says; may be given several times'),
  dataWeights: row('--data-weights', 'numbers', 'files', 'shares of the files of --data in what is trained on, in their order: 0.7,0.3; without, all rows', ['data_weights']),
  stoppingStrategy: row('--stopping-strategy', 'text', 'files', 'with --data-weights: first_exhausted ends with the first file that is used up and repeats no row (default); all_exhausted with the last, and drops no row', ['stopping_strategy']),
  evalData: { ...row('--eval-data', 'path', 'files', 'rows held out for evaluation, in the same form'), again: 'put the rows of both files into one' },
  evalSplit: row('--eval-split', 'number', 'files', 'rows of --data to hold out instead: a share below 1, or a number'),
  input: row('--input', 'path', 'files', 'what to work on: texts, a JSON object a line with "text" or "ids", or cases for a loss'),
  reward: row('--reward', 'texts', 'files', 'what rates completions: sentiment, length, repetition, overlong, think_format, accuracy (column solution), a file such as reward.mjs, or the folder of a reward model or its adapter; several add up'),
  logCompletions: row('--log-completions', 'switch', 'output', 'write completions with their rewards to completions.jsonl in --out', ['log_completions']),
  report: { ...row('--no-report', 'switch', 'output', 'write no report.html'), names: ['report'] },
  reportSamples: row('--report-samples', 'number', 'output', 'texts in report.html, each written before training and after it; 0 for none'),
  logCsv: row('--log-csv', 'switch', 'output', 'write the logged metrics to log.csv in --out'),
  openings: row('--openings', 'path', 'files', 'beginnings of stories, one a line'),
  out: row('--out', 'path', 'files', 'folder to write to', ['output_dir']),
  format: row('--format', 'text', 'files', 'peft, merged, merged-gguf, gguf or trl'),
  tokenIds: row('--token-ids', 'switch', 'files', 'with --format trl: hand over the token ids too, and train on those'),
  work: row('--work', 'path', 'files', 'folder for what is only needed while it runs'),
  config: row('--config', 'path', 'files', 'settings from a JSON file, by their names or TRL\'s: {"beta": 0.1, "r": 8}; flags win over it'),

  prompt: row('--prompt', 'prompts', 'text', 'what to continue; may be given several times'),
  chat: row('--chat', 'switch', 'text', 'talk with the model through its chat template: typed, or a message a line on stdin'),
  system: row('--system', 'text', 'text', 'with --chat: what the model is told first'),
  messages: row('--messages', 'path', 'text', 'with --chat: conversations to answer, JSON {"messages": [{"role", "content"}, ...]} or a line each'),
  maxTokens: row('--max-tokens', 'number', 'text', 'most new tokens'),
  temperature: row('--temperature', 'number', 'text', 'divides the logits; 0 always takes the likeliest token'),
  topK: row('--top-k', 'number', 'text', 'draw from the k likeliest tokens; 0 for all'),
  topP: row('--top-p', 'number', 'text', 'draw from the likeliest tokens that make up this probability'),
  minP: row('--min-p', 'number', 'text', "draw from tokens of at least this share of the likeliest one's probability"),
  repetitionPenalty: row('--repetition-penalty', 'number', 'text', 'makes tokens less likely that are there already, above 1; 1 does nothing'),
  n: row('--n', 'number', 'text', 'continuations of each prompt'),

  full: row('--full', 'switch', 'training', 'train all weights and write a whole model, no adapter'),

  pairs: row('--pairs', 'number', 'run', 'pairs for training'),
  heldOut: row('--held-out', 'number', 'run', 'pairs for evaluation, from other openings'),
  completions: row('--completions', 'number', 'run', 'completions to choose from, for each opening'),
  margin: row('--margin', 'number', 'run', 'least difference in sentiment of a pair'),
  quick: row('--quick', 'switch', 'run', 'a few steps only, to see that everything works'),
  resume: row('--resume', 'switch', 'run', 'go on from the checkpoint in --out, bit for bit; starts where there is none'),
  overwrite: row('--overwrite', 'switch', 'run', 'replace what an earlier run left in --out', ['overwrite_output_dir']),
  memoryCap: row('--memory-cap', 'bytes', 'run', 'most GPU memory to hold: 2GiB, 512MiB; checked before training'),
  variant: row('--variant', 'list', 'run', `kernel variants to run wherever an operation has one of the names: ${VARIANT_NAMES.join(', ')}`),
  tune: row('--tune', 'toggle', 'run', 'measure kernel variants before training and remember the fastest; by default on GPUs'),
  profile: row('--profile', 'switch', 'run', 'time every kernel, where the adapter can'),

  ci: row('--ci', 'switch', 'run', 'look for a browser with WebGPU too, and say which versions are used'),
  junit: row('--junit', 'path', 'output', 'file to write the checks to, as JUnit XML'),

  json: row('--json', 'switch', 'output', 'one JSON object as the last line of stdout, all else on stderr'),
  debug: row('--debug', 'switch', 'output', 'show where in the program an error arose'),
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
    // Only one that may be left open can be given both values.
    kind: kind === 'boolean' && usual === null ? 'boolean' : KINDS_OF_SETTINGS[kind],
    group,
    help: off ?? help,
    names,
  };
}

type Commands = typeof COMMAND_OPTIONS;
type Declared = typeof SETTINGS;

/** Losses are named here; descriptors are for programs. */
type Written<Value> = Value extends readonly (infer Item)[]
  ? Extract<Item, string | number>[]
  : Exclude<Value, object | null>;

/** Values by name; what was not given is undefined. */
export type Settings = { [Name in keyof Commands]?: KindValues[Commands[Name]['kind']] } & {
  [Name in Exclude<keyof Declared, 'lossType'>]?: Written<ValueOf<Declared[Name]>>;
} & { lossType?: string[] };

export type OptionName = keyof Commands | keyof Declared;

export const OPTIONS: Readonly<Record<OptionName, OptionRow>> = {
  ...(Object.fromEntries(
    Object.entries(SETTINGS as SettingTable).map(([name, setting]) => [name, optionOf(name, setting)]),
  ) as Record<keyof Declared, OptionRow>),
  // A command's own words for an option that a trainer has as well.
  ...COMMAND_OPTIONS,
};

/** Options of every command that opens a model. */
export const MODEL_OPTIONS = ['model', 'revision', 'token', 'refresh'] as const satisfies OptionName[];

/** The options that say which rows a run has. */
export const DATA_OPTIONS = [
  'data',
  'dataWeights',
  'stoppingStrategy',
  'evalData',
  'evalSplit',
] as const satisfies OptionName[];

/** Options of LoRA. */
export const LORA_OPTIONS = Object.keys(LORA) as (keyof typeof LORA)[];

/** The settings of these names that were given. */
export function pick<Name extends OptionName>(
  settings: Settings,
  names: readonly Name[],
): Pick<Settings, Name> {
  const given = names.filter((name) => settings[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, settings[name]])) as Pick<Settings, Name>;
}
