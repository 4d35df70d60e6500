/**
 * LoRA adapters in PEFT's files, `adapter_config.json` and `adapter_model.safetensors`, so that adapters can be exchanged
 * with PEFT in both directions. Reads and writes files; does not apply adapters. Unsupported features (DoRA, biases) are
 * rejected by name rather than ignored.
 *
 * Format: https://huggingface.co/docs/peft/developer_guides/checkpoint
 */
import { own } from '../base/lookup.ts';
import { inFloat32 } from '../base/range.ts';
import { adapterTensors } from './adapter-tensors.ts';
import { InputError, listed, quote } from './errors.ts';
import type { Files } from './files.ts';
import { toFloat32Bytes } from './float.ts';
import { Fields, isObject, type Json, parsePythonObject } from './json.ts';
import { type LoraConfig, MOST_RANK } from './lora-settings.ts';
import { areReadable, firstMatching } from './module-patterns.ts';
import { hasHead, headFields, headTensor, takeHead } from './peft-head.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from './safetensors.ts';
import { isAllLinear, matchTargets, shortNames } from './target-modules.ts';

export type { LoraConfig };

/** The factors of one layer: W + scale·B·A. */
export interface LoraWeights {
  /** (r, in). */
  a: Float32Array;
  /** (out, r). */
  b: Float32Array;
  /** The layer's own rank (`rank_pattern`). */
  r: number;
  /** The layer's own α (`alpha_pattern`), if it differs from the adapter's. */
  alpha?: number;
  in: number;
  out: number;
}

export interface Adapter {
  config: LoraConfig;
  /** The base model, a name or a path; may be empty. */
  baseModel: string;
  /** The commit of the base model, if it is a repository of the hub. */
  baseRevision?: string;
  /** Whether the base model stores its linear weights as (in, out), which PEFT needs to know. */
  fanInFanOut?: boolean;
  /** By module: `model.layers.0.self_attn.q_proj`. */
  weights: Map<string, LoraWeights>;
  /** For a reward model (`SEQ_CLS`): the head's weights, one per hidden unit. */
  head?: Float32Array;
}

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const ADAPTER_CONFIG = 'adapter_config.json';
const PICKLE = 'adapter_model.bin';
export type AdapterFiles = Record<typeof ADAPTER_WEIGHTS | typeof ADAPTER_CONFIG, Uint8Array<ArrayBuffer>>;

const PREFIX = 'base_model.model.';
/** The factor of B·A·x in a layer: α/r, or α/√r for rsLoRA. */
export function loraScale(
  { loraAlpha, useRslora }: Pick<LoraConfig, 'loraAlpha' | 'useRslora'>,
  { r, alpha = loraAlpha }: Pick<LoraWeights, 'r' | 'alpha'>,
): number {
  return alpha / (useRslora ? Math.sqrt(r) : r);
}

/** The two files; equal adapters give equal bytes. */
export function writeAdapter({
  config,
  baseModel,
  baseRevision,
  fanInFanOut = false,
  weights,
  head,
}: Adapter): AdapterFiles {
  const tensors = new Map<string, TensorToWrite>(headTensor(head));
  const ranks = new Map<string, number>();
  const alphas = new Map<string, number>();
  for (const [module, { a, b, r, alpha, in: width, out }] of byName(weights)) {
    if (r !== config.r) ranks.set(module, r);
    if (alpha !== undefined && alpha !== config.loraAlpha) alphas.set(module, alpha);
    tensors.set(`${PREFIX}${module}.lora_A.weight`, {
      dtype: 'F32',
      shape: [r, width],
      data: toFloat32Bytes(a),
    });
    tensors.set(`${PREFIX}${module}.lora_B.weight`, {
      dtype: 'F32',
      shape: [out, r],
      data: toFloat32Bytes(b),
    });
  }
  const { modules_to_save, task_type } = headFields(head);
  const json = {
    alpha_pattern: Object.fromEntries(alphas),
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: fanInFanOut,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: config.loraAlpha,
    lora_dropout: 0,
    modules_to_save,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: Object.fromEntries(ranks),
    revision: baseRevision ?? null,
    target_modules: [...config.targetModules].sort(),
    task_type,
    use_dora: false,
    use_rslora: config.useRslora,
  };
  return {
    [ADAPTER_WEIGHTS]: writeSafetensors(tensors, { format: 'pt' }),
    [ADAPTER_CONFIG]: new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`),
  };
}

/** Reads a PEFT folder. Throws {@link InputError} if it is malformed, incomplete or not supported. */
export async function readAdapter(files: Files): Promise<Adapter> {
  const configFile = `${files.name}/${ADAPTER_CONFIG}`;
  const fields = new Fields(parsePythonObject(await files.readText(ADAPTER_CONFIG), configFile), configFile);
  if (fields.string('peft_type') !== 'LORA')
    throw fields.unsupported('peft_type', 'Only LORA adapters are read: merge it into its model with PEFT');
  refuseUnsupported(fields);

  const r = fields.integer('r', undefined, 1, MOST_RANK);
  const weightsFile = `${files.name}/${ADAPTER_WEIGHTS}`;
  if (!(await files.exists(ADAPTER_WEIGHTS)) && (await files.exists(PICKLE))) {
    const what = `the weights are in ${PICKLE}, a Python pickle, which is not supported`;
    throw new InputError(
      weightsFile,
      what,
      'Load the adapter with PEFT and save it again, which writes safetensors',
    );
  }
  const { tensors: all } = parseSafetensors(await files.read(ADAPTER_WEIGHTS), weightsFile);
  const { head, others: tensors } = hasHead(fields)
    ? takeHead(all, weightsFile)
    : { head: undefined, others: all };
  // A layer's own rank is visible in its shapes, whatever the pattern that selects it.
  requireRanks(fields);
  const weights = adapterTensors(tensors, isOff(fields.get('rank_pattern')) ? r : undefined, weightsFile);
  // PEFT has a default for a file without it, and none for null.
  const loraAlpha = fields.positive('lora_alpha', own(fields.object, 'lora_alpha') === null ? undefined : 8);
  setAlphas(weights, fields);
  const config: LoraConfig = {
    r,
    loraAlpha,
    targetModules: targetModules(fields, [...weights.keys()]),
    useRslora: fields.boolean('use_rslora', false),
  };
  const fanInFanOut = fields.boolean('fan_in_fan_out', false);
  const baseModel = fields.string('base_model_name_or_path', '');
  const baseRevision = fields.string('revision', '');
  return {
    config,
    baseModel,
    ...(baseRevision !== '' && { baseRevision }),
    ...(fanInFanOut && { fanInFanOut }),
    weights,
    ...(head && { head }),
  };
}

/** Settings that change the computation of an adapter. Each must be absent, or off as PEFT writes it. */
// biome-ignore format: a list by name
const MUST_BE_OFF = [
  'alora_invocation_tokens', 'arrow_config', 'kasa_config', 'layer_replication',
  'lora_bias', 'monteclora_config', 'target_parameters', 'trainable_token_indices',
  'use_bdlora', 'use_dora', 'use_qalora', 'velora_config',
];

function refuseUnsupported(fields: Fields): void {
  const wayOut = 'Train one without it, or merge it with PEFT, unless head and embedding are tied';
  if (!hasHead(fields) && !isOff(fields.get('modules_to_save')))
    throw fields.unsupported('modules_to_save', wayOut);
  for (const name of MUST_BE_OFF) if (!isOff(fields.get(name))) throw fields.unsupported(name, wayOut);
  if (fields.string('bias', 'none') !== 'none') throw fields.unsupported('bias', wayOut);
  // PiSSA, OLoRA, CorDA and LoftQ also change the base weights.
  const start = fields.get('init_lora_weights') ?? true;
  const known =
    typeof start === 'boolean' || ['gaussian', 'orthogonal', 'eva'].some((name) => name === start);
  if (!known) {
    throw fields.unsupported('init_lora_weights', wayOut);
  }
}

function isOff(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) ? Object.keys(value).length === 0 : value === undefined || value === false;
}

/** Checks `rank_pattern`. The ranks themselves come from the shapes; an invalid rank means that the file is damaged. */
function requireRanks(fields: Fields): void {
  const pattern = fields.get('rank_pattern');
  if (isOff(pattern)) return;
  const ranks = isObject(pattern) ? Object.values(pattern) : [];
  const isRank = (rank: Json) => Number.isInteger(rank) && Number(rank) >= 1 && Number(rank) <= MOST_RANK;
  if (ranks.length === 0 || !ranks.every(isRank))
    throw fields.unsupported('rank_pattern', `Ranks are whole numbers from 1 to ${MOST_RANK}`);
}

/** Gives layers the α that `alpha_pattern` has for them, by the first key that matches. */
function setAlphas(weights: Adapter['weights'], fields: Fields): void {
  const pattern = fields.get('alpha_pattern');
  if (isOff(pattern)) return;
  const entries = isObject(pattern) ? Object.entries(pattern) : [];
  const keys = entries.map(([key]) => key);
  const isAlpha = (alpha: Json) => typeof alpha === 'number' && alpha > 0 && inFloat32(alpha);
  if (entries.length === 0 || !entries.every(([, alpha]) => isAlpha(alpha)) || !areReadable(keys)) {
    throw fields.unsupported(
      'alpha_pattern',
      'Give names or simple patterns, and numbers above 0; or merge it into its model with PEFT',
    );
  }
  const find = firstMatching(keys);
  for (const [module, layer] of weights) {
    const first = find(module);
    if (first >= 0) layer.alpha = entries[first]?.[1] as number;
  }
}

function byName(weights: Adapter['weights']): [string, LoraWeights][] {
  return [...weights].sort(([x], [y]) => (x < y ? -1 : 1));
}

/** Settings that restrict `target_modules` to some layers. */
const NARROWING = ['layers_to_transform', 'layers_pattern', 'exclude_modules'];

/**
 * The names of `target_modules` that match the weights; PEFT ignores others. "all-linear", patterns, and names restricted
 * to some layers are resolved to the full names of the modules with weights.
 */
function targetModules(fields: Fields, modules: string[]): string[] {
  const value = fields.get('target_modules');
  if (value === undefined || isAllLinear(value)) return shortNames(modules);
  if (typeof value === 'string' || NARROWING.some((name) => !isOff(fields.get(name) ?? false)))
    return modules;
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
    throw fields.wrong('target_modules', 'a list of names');
  }
  const targets = value;
  const { unused, meant } = matchTargets(targets, modules);
  const unnamed = modules.filter((module) => !meant.has(module));
  if (unnamed.length > 0) {
    throw new InputError(
      `${fields.file}, "target_modules"`,
      `does not match these weights:  ${listed(unnamed)}`,
      'The two adapter files do not belong together',
    );
  }
  const idle = new Set(unused);
  return targets.filter((target) => !idle.has(target));
}

/**
 * Throws {@link InputError} with every module of `adapter` that the model (`linears`: its linear layers by name) lacks, or
 * has with another shape.
 */
export function checkAdapterFits(
  adapter: Adapter,
  linears: ReadonlyMap<string, { in: number; out: number }>,
  name: string,
): void {
  const odd: string[] = [];
  for (const [module, { in: width, out }] of adapter.weights) {
    const linear = linears.get(module);
    if (!linear) odd.push(`${module} is not in the model`);
    else if (linear.in !== width || linear.out !== out) {
      odd.push(`${module} is (${out}, ${width}), expected (${linear.out}, ${linear.in})`);
    }
  }
  if (odd.length > 0) {
    throw new InputError(
      name,
      `does not fit the model: ${listed(odd, 8, '; ')}`,
      `Its base model is ${quote(adapter.baseModel)}`,
    );
  }
}

/**
 * A notice if the adapter names another base model than `model`; undefined if the last parts of the names are equal or it
 * names none. Names are no proof, because folders are renamed; {@link checkAdapterFits} checks the shapes.
 */
export function otherBaseNotice({ baseModel }: Adapter, model: string, name: string): string | undefined {
  const last = (path: string) =>
    path
      .replace(/[\\/]+$/, '')
      .replace(/^.*[\\/]/, '')
      .toLowerCase();
  if (baseModel === '' || last(baseModel) === last(model)) return undefined;
  return `${name} was trained on ${quote(baseModel)}, but the model is ${quote(model)}. The shapes match; if it is a different model, use the adapter's own.`;
}
