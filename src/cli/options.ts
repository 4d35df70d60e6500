/**
 * Every option of every command, one row each: its flag, what kind of value it takes, what it says in the help. A row's
 * name is what a configuration file calls it, TRL's or PEFT's where they have one. Which command takes which option, and
 * what it does with it, stands with the command.
 */
import { VARIANT_NAMES } from '../ops/variants.ts';
import { LORA_DEFAULTS } from '../train/config.ts';

/** What an option's value is, by the name of its kind. */
export interface KindValues {
  text: string;
  texts: string[];
  path: string;
  source: string;
  number: number;
  list: string[];
  numbers: number[];
  boolean: boolean;
  bytes: number;
  switch: boolean;
  toggle: boolean;
}
export type Kind = keyof KindValues;

interface KindRule {
  placeholder: string;
  /** For messages: `a number`. */
  expected: string;
  /** From what stands behind the flag. */
  fromText: (text: string) => unknown;
  /** From what stands in a configuration file, or what `fromText` gave: the value, or undefined where it is none. */
  read: (value: unknown) => unknown;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every(isText);

export const KINDS: Readonly<Record<Kind, KindRule>> = {
  text: {
    placeholder: '<text>',
    expected: 'text',
    fromText: (t) => t,
    read: (v) => (isText(v) ? v : undefined),
  },
  texts: {
    placeholder: '<text>',
    expected: 'text, or a list of texts',
    fromText: (t) => t,
    read: (v) => (isText(v) ? [v] : isTexts(v) ? v : undefined),
  },
  path: {
    placeholder: '<path>',
    expected: 'a path',
    fromText: (t) => t,
    read: (v) => (isText(v) ? v : undefined),
  },
  source: {
    placeholder: '<source>',
    expected: 'a folder, owner/name or an address',
    fromText: (t) => t,
    read: (v) => (isText(v) ? v : undefined),
  },
  number: {
    placeholder: '<n>',
    expected: 'a number',
    fromText: (t) => (t.trim() === '' ? undefined : Number(t)),
    read: (v) => (typeof v === 'number' && !Number.isNaN(v) ? v : undefined),
  },
  list: {
    placeholder: '<names>',
    expected: 'names, separated by commas',
    fromText: (t) => t.split(',').map((part) => part.trim()),
    read: (v) => (isText(v) ? [v] : isTexts(v) ? v : undefined),
  },
  numbers: {
    placeholder: '<numbers>',
    expected: 'numbers, separated by commas',
    fromText: (t) => t.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part))),
    read: (v) => (Array.isArray(v) && v.length > 0 && v.every(Number.isFinite) ? v : undefined),
  },
  boolean: {
    placeholder: '<true|false>',
    expected: 'true or false',
    fromText: (t) => ({ true: true, false: false })[t],
    read: (v) => (typeof v === 'boolean' ? v : undefined),
  },
  bytes: {
    placeholder: '<bytes>',
    expected: 'a number of bytes, such as 2GiB, 512MiB or 1500000000',
    fromText: parseBytes,
    read: (v) => (typeof v === 'string' ? parseBytes(v) : typeof v === 'number' && v > 0 ? v : undefined),
  },
  switch: {
    placeholder: '',
    expected: 'true or false',
    fromText: () => true,
    read: (v) => (typeof v === 'boolean' ? v : undefined),
  },
  toggle: {
    placeholder: '<on|off>',
    expected: 'on or off',
    fromText: (t) => ({ on: true, off: false })[t],
    read: (v) => (typeof v === 'boolean' ? v : undefined),
  },
};

export interface OptionRow {
  /** The long flag; another spelling of the same may follow in `alias`. */
  flag: string;
  alias?: string;
  kind: Kind;
  group: keyof typeof GROUPS;
  help: string;
}

/** Headings of the help, in their order. */
export const GROUPS = {
  files: 'Files',
  text: 'Generation',
  objective: 'Objective',
  training: 'Training',
  lora: 'LoRA',
  run: 'Run',
  output: 'Output',
} as const;

const row = <K extends Kind>(
  flag: string,
  kind: K,
  group: OptionRow['group'],
  help: string,
  alias?: string,
) => ({
  flag,
  kind,
  group,
  help,
  ...(alias === undefined ? {} : { alias }),
});

// biome-ignore format: a row for each option
export const OPTIONS = {
  model: row('--model', 'source', 'files', 'folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json), owner/name on its hub, or an address'),
  revision: row('--revision', 'text', 'files', 'branch, tag or commit of a model on the hub'),
  token: row('--token', 'text', 'files', 'token of the hub; others can see it there: better set HF_TOKEN'),
  refresh: row('--refresh', 'switch', 'files', 'ask the hub whether the branch has moved, though the cache has it'),
  dtype: row('--dtype', 'text', 'files', 'precision of frozen matrices: auto (as stored), float32, float16, bfloat16, q8_0 or q4_0'),
  adapter: row('--adapter', 'texts', 'files', 'folder of a PEFT adapter to put on the model; several, given in turn, add up'),
  initAdapter: row('--init-adapter', 'path', 'files', 'folder of a PEFT adapter to go on training, in place of a fresh one'),
  q: row('--q', 'number', 'files', 'how much of the last adapter counts, from 0 to 1'),
  stages: row('--stages', 'path', 'files', 'JSON file of the stages to train'),
  data: row('--data', 'path', 'files', 'what to learn from: JSON Lines, CSV or Parquet with prompt, chosen, rejected, or what the command says'),
  evalData: row('--eval-data', 'path', 'files', 'rows held out for evaluation, in the same form'),
  evalSplit: row('--eval-split', 'number', 'files', 'rows of --data to hold out instead: a share below 1, or a number'),
  input: row('--input', 'path', 'files', 'what to work on: texts, a JSON object a line with "text" or "ids", or cases for an objective'),
  openings: row('--openings', 'path', 'files', 'beginnings of stories, one a line'),
  out: row('--out', 'path', 'files', 'folder to write to'),
  format: row('--format', 'text', 'files', 'peft, merged, merged-gguf, gguf or trl'),
  tokenIds: row('--token-ids', 'switch', 'files', 'with --format trl: hand over the token ids too, and train on those'),
  work: row('--work', 'path', 'files', 'folder for what is only needed while it runs'),
  config: row('--config', 'path', 'files', 'settings from a JSON file, in camelCase: {"beta": 0.1, "r": 8}; flags win over it'),

  prompt: row('--prompt', 'texts', 'text', 'what to continue; may be given several times'),
  maxTokens: row('--max-tokens', 'number', 'text', 'most new tokens'),
  temperature: row('--temperature', 'number', 'text', 'divides the logits; 0 always takes the likeliest token'),
  topK: row('--top-k', 'number', 'text', 'draw from the k likeliest tokens; 0 for all'),
  topP: row('--top-p', 'number', 'text', 'draw from the likeliest tokens that make up this probability'),
  minP: row('--min-p', 'number', 'text', "draw from tokens of at least this share of the likeliest one's probability"),
  repetitionPenalty: row('--repetition-penalty', 'number', 'text', 'makes tokens less likely that are there already, above 1; 1 does nothing'),
  n: row('--n', 'number', 'text', 'continuations of each prompt'),

  beta: row('--beta', 'number', 'objective', 'strength of the pull to the reference'),
  lossType: row('--loss', 'list', 'objective', "the objective, by its name in TRL; several, separated by commas, add up", '--loss-type'),
  lossWeights: row('--loss-weights', 'numbers', 'objective', 'a weight for each of several objectives'),
  labelSmoothing: row('--label-smoothing', 'number', 'objective', 'share of pairs taken to be the wrong way round (cDPO)'),
  discopopTau: row('--discopop-tau', 'number', 'objective', "temperature of discopop's blend"),
  ipoTokenMean: row('--ipo-token-mean', 'number', 'objective', '1 where ipo averages over tokens, 0 where it sums'),
  fDivergence: row('--f-divergence', 'text', 'objective', 'what holds the policy to the reference: reverse_kl, forward_kl, js or alpha'),
  fAlphaDivergenceCoef: row('--f-alpha-divergence-coef', 'number', 'objective', 'α of the α-divergence'),
  ldAlpha: row('--ld-alpha', 'number', 'objective', "weight of tokens beyond the shorter completion's length (LD-DPO)"),
  useWeighting: row('--use-weighting', 'switch', 'objective', 'weigh pairs by how likely the policy finds them (WPO)'),
  syncRefModel: row('--sync-ref-model', 'switch', 'objective', 'let the reference follow the policy (TR-DPO)'),
  refModelMixupAlpha: row('--ref-model-mixup-alpha', 'number', 'objective', "the policy's share in the new reference"),
  refModelSyncSteps: row('--ref-model-sync-steps', 'number', 'objective', 'steps between one new reference and the next'),
  cpoAlpha: row('--cpo-alpha', 'number', 'objective', "weight of the chosen completion's cross-entropy"),
  simpoGamma: row('--simpo-gamma', 'number', 'objective', "SimPO's target margin"),
  desirableWeight: row('--desirable-weight', 'number', 'objective', 'weight of desirable completions'),
  undesirableWeight: row('--undesirable-weight', 'number', 'objective', 'weight of undesirable completions'),

  learningRate: row('--learning-rate', 'number', 'training', 'peak learning rate'),
  numTrainEpochs: row('--epochs', 'number', 'training', 'passes over the data', '--num-train-epochs'),
  maxSteps: row('--max-steps', 'number', 'training', 'optimizer steps, in place of --epochs'),
  perDeviceTrainBatchSize: row('--batch-size', 'number', 'training', 'pairs at a time', '--per-device-train-batch-size'),
  perDeviceEvalBatchSize: row('--eval-batch-size', 'number', 'training', 'pairs at a time when nothing is learnt', '--per-device-eval-batch-size'),
  gradientAccumulationSteps: row('--gradient-accumulation', 'number', 'training', 'batches to one optimizer step', '--gradient-accumulation-steps'),
  maxLength: row('--max-length', 'number', 'training', 'most tokens of prompt and completion'),
  lrSchedulerType: row('--lr-scheduler-type', 'text', 'training', 'linear, cosine or constant'),
  warmupSteps: row('--warmup-steps', 'number', 'training', 'steps over which the learning rate rises'),
  warmupRatio: row('--warmup-ratio', 'number', 'training', 'the same as a share of all steps'),
  maxGradNorm: row('--max-grad-norm', 'number', 'training', 'gradient norm to clip to; 0 does not clip'),
  weightDecay: row('--weight-decay', 'number', 'training', 'of AdamW'),
  adamBeta1: row('--adam-beta1', 'number', 'training', 'of AdamW'),
  adamBeta2: row('--adam-beta2', 'number', 'training', 'of AdamW'),
  adamEpsilon: row('--adam-epsilon', 'number', 'training', 'of AdamW'),
  shuffleDataset: row('--no-shuffle-dataset', 'switch', 'training', 'take the pairs in the order of the file'),
  gradientCheckpointing: row('--gradient-checkpointing', 'switch', 'training', 'keep no activations but compute them again: slower, less memory'),
  filterEps: row('--filter-eps', 'number', 'training', "leave tokens whose probability is below this out of the head's gradient: faster; 0 is exact"),
  savedActivations: row('--saved-activations', 'text', 'training', 'how activations wait for the backward pass: float32, or float16 for half the memory'),
  completionOnlyLoss: row('--completion-only-loss', 'boolean', 'training', 'learn completions and not their prompts'),
  full: row('--full', 'switch', 'training', 'train all weights and write a whole model, no adapter'),

  r: row('--lora-r', 'number', 'lora', 'rank'),
  loraAlpha: row('--lora-alpha', 'number', 'lora', 'scale, divided by the rank'),
  targetModules: row('--target-modules', 'list', 'lora', 'layers to adapt, separated by commas, or all-linear'),
  useRslora: row('--use-rslora', 'switch', 'lora', 'divide the scale by the root of the rank instead'),

  pairs: row('--pairs', 'number', 'run', 'pairs for training'),
  heldOut: row('--held-out', 'number', 'run', 'pairs for evaluation, from other openings'),
  completions: row('--completions', 'number', 'run', 'completions to choose from, for each opening'),
  margin: row('--margin', 'number', 'run', 'least difference in sentiment of a pair'),
  quick: row('--quick', 'switch', 'run', 'a few steps only, to see that everything works'),
  seed: row('--seed', 'number', 'run', 'the same seed gives the same bytes'),
  evalSteps: row('--eval-steps', 'number', 'run', 'steps between evaluations; 0 evaluates at the end'),
  saveSteps: row('--save-steps', 'number', 'run', 'steps between checkpoints; 0 keeps one when training stops'),
  resume: row('--resume', 'switch', 'run', 'go on from the checkpoint in --out, bit for bit; starts where there is none'),
  overwrite: row('--overwrite', 'switch', 'run', 'replace what an earlier run left in --out'),
  memoryCap: row('--memory-cap', 'bytes', 'run', 'most GPU memory to hold: 2GiB, 512MiB; checked before training'),
  variant: row('--variant', 'list', 'run', `kernel variants to run wherever an operation has one of the names: ${VARIANT_NAMES.join(', ')}`),
  tune: row('--tune', 'toggle', 'run', 'measure kernel variants before training and remember the fastest; by default on GPUs'),
  profile: row('--profile', 'switch', 'run', 'time every kernel, where the adapter can'),

  json: row('--json', 'switch', 'output', 'one JSON object as the last line of stdout, all else on stderr'),
  debug: row('--debug', 'switch', 'output', 'show where in the program an error arose'),
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof OPTIONS;
/** Values by name; what was not given is undefined. */
export type Settings = { [Name in OptionName]?: KindValues[(typeof OPTIONS)[Name]['kind']] };

/** Options of every command that opens a model. */
export const MODEL_OPTIONS = ['model', 'revision', 'token', 'refresh'] as const satisfies OptionName[];

/** Options of LoRA: the names that their defaults have. */
export const LORA_OPTIONS = Object.keys(LORA_DEFAULTS) as (OptionName & keyof typeof LORA_DEFAULTS)[];

/** The settings of these names that were given. */
export function pick<Name extends OptionName>(
  settings: Settings,
  names: readonly Name[],
): Pick<Settings, Name> {
  const given = names.filter((name) => settings[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, settings[name]])) as Pick<Settings, Name>;
}

/** What a configuration file may call an option: its own name, or its flag's in camelCase. */
export function namesInFile(name: OptionName): string[] {
  const flag = OPTIONS[name].flag
    .replace(/^--(no-)?/, '')
    .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  return flag === name ? [name] : [name, flag];
}

function parseBytes(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*(|[kmgt]i?)b?$/i.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const power = ['', 'k', 'm', 'g', 't'].indexOf(unit.charAt(0).toLowerCase());
  const bytes = Math.floor(Number(digits) * (unit.length === 1 ? 1000 : 1024) ** power);
  return bytes > 0 ? bytes : undefined;
}
