/**
 * The inputs of commands: text files, this machine's GPU, and a model with its tokenizer and adapters; also a new device
 * after a lost one. Reports invalid input before slow work starts.
 */
import { resolve } from 'node:path';
import type { DataForm } from '../data/data-form.ts';
import { readDataset } from '../data/read-dataset.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import type { AdapterReport } from '../gpu/adapter.ts';
import type { Gpu } from '../gpu/device.ts';
import { DeviceLostError, formatBytes } from '../gpu/errors.ts';
import { type ByteSource, readAll } from '../io/byte-source.ts';
import { InputError } from '../io/errors.ts';
import { decodeText, type Files } from '../io/files.ts';
import { ADAPTER_CONFIG, type Adapter, otherBaseNotice, readAdapter } from '../io/peft.ts';
import { MODEL_CONFIG } from '../io/weights.ts';
import { CausalLM } from '../model/causal-lm.ts';
import { checkDtype } from '../model/precision.ts';
import { endedBySignals } from '../node/deadline.ts';
import { fileSource, folderFiles } from '../node/folder.ts';
import { openSource } from '../node/sources.ts';
import { strangerEnvironment } from '../node/stranger-environment.ts';
import { requestGpu } from '../node.ts';
import { requireVariants } from '../ops/variants.ts';
import { checkedScale } from '../train/sacpo-trainer.ts';
import type { MODEL_OPTIONS, Settings } from './options.ts';
import type { Terminal } from './terminal.ts';

/** Lost devices that are replaced; after that the problem is permanent. */
const MOST_RECOVERIES = 3;

/** Reads a whole text file. Throws {@link InputError}. */
export async function readText(path: string): Promise<string> {
  return decodeText(await readAll(await openFile(path)), path);
}

/** Opens a file for reading in pieces. Throws {@link InputError}. */
export async function openFile(path: string): Promise<ByteSource> {
  const source = await fileSource(path);
  if (source) return source;
  throw new InputError(path, 'file not found', 'Check the path');
}

/** The rows of a data file in the given form. A signal ends the process during this, because nothing has been started yet. */
export async function readRows<Row>(
  path: string,
  form: DataForm<Row>,
  onNotice?: (line: string) => void,
): Promise<Row[]> {
  const source = await openFile(path);
  return endedBySignals(() => readDataset(source, form, onNotice, strangerEnvironment()));
}

/**
 * Runs `work` on a device and releases the device. If the device is lost, makes a new one and repeats the work,
 * which continues from its checkpoints.
 */
export async function withGpu<T>(
  terminal: Terminal,
  { memoryCap, variant: variants, tune }: Pick<Settings, 'memoryCap' | 'variant' | 'tune'>,
  work: (gpu: Gpu) => Promise<T>,
): Promise<T> {
  for (let lost = 1; ; lost++) {
    const onNotice = (line: string) => lost === 1 && terminal.info(line);
    const gpu = await requestGpu({ memoryCap, variants, tune, onNotice });
    try {
      requireVariants(gpu);
      return await work(gpu);
    } catch (error) {
      if (!(error instanceof DeviceLostError) || lost > MOST_RECOVERIES) throw error;
      const [what] = error.message.split('. ');
      terminal.info(
        `${what}. Continuing with a new one from the last checkpoint (${lost} of ${MOST_RECOVERIES}).`,
      );
    } finally {
      gpu.dispose();
    }
  }
}

/** The value of `--model` and its related options. */
type ModelSettings = Pick<Settings, (typeof MODEL_OPTIONS)[number]> & { model: string };

/** Files smaller than this are downloaded without a message. */
const LARGE = 1e6;

/** Opens the model's files from any source and reports downloads. */
export async function openModelFiles(
  { model, revision, token, refresh }: ModelSettings,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Files> {
  if (token !== undefined)
    terminal.info(
      'Other users of this machine can read --token while the command runs. Set HF_TOKEN instead.',
    );
  const files = await openSource(model, {
    revision,
    token,
    refresh,
    signal,
    onNotice: (line) => terminal.info(line),
    onProgress: ({ file, loaded, total }) => {
      if (total < LARGE) return;
      const megabytes = Math.ceil(total / 1e6);
      const done = loaded < total ? Math.floor(loaded / 1e6) : megabytes;
      terminal.progress(`Fetching ${file}`, done, megabytes, 'MB');
    },
  });
  await noticeAdapter(files, terminal);
  return files;
}

/** transformers loads an adapter that is in the model's own folder. Checked where that costs no request. */
async function noticeAdapter(files: Files, terminal: Terminal): Promise<void> {
  if (!files.list || !(await files.exists(ADAPTER_CONFIG))) return;
  if (!(await files.exists(MODEL_CONFIG))) {
    const wayOut = 'Give its base model as --model, and this folder as --adapter';
    throw new InputError(files.name, 'contains an adapter but no model', wayOut);
  }
  terminal.info(
    `${files.name} also contains an adapter. transformers would apply it; webalign applies it only if it is given as --adapter.`,
  );
}

/** The origin of a model. */
export type Origin = Pick<Files, 'name' | 'revision'>;

/** A name for records that identifies the model from anywhere. */
export interface RecordedModel {
  /** The full path of a folder, the id of a Hub model, or a URL. */
  model: string;
  /** The commit of a Hub model. */
  revision: string | null;
}

export function recordedModel({ name, revision }: Origin): RecordedModel {
  const isFolder = revision === undefined && !name.includes('://');
  return { model: isFolder ? resolve(name) : name, revision: revision ?? null };
}

export interface OpenModel {
  model: CausalLM;
  tokenizer: Tokenizer;
}

export interface OpenOptions {
  /** Folders of adapters to put on the model. */
  adapter?: readonly string[] | undefined;
  /** Scale of the last adapter. */
  q?: number | undefined;
  trainable?: boolean;
  /** Precision of the matrices; default: as stored. */
  dtype?: string | undefined;
  /** Receives messages about the model and the adapters. */
  onNotice?: (line: string) => void;
}

/** The model in `files` with its tokenizer and the given adapters. */
export async function openModel(
  gpu: Gpu,
  files: Files,
  { adapter: folders = [], q = 1, trainable = false, dtype = 'auto', onNotice }: OpenOptions = {},
): Promise<OpenModel> {
  checkedScale(q);
  checkDtype(dtype);
  if (q !== 1 && folders.length === 0)
    throw new InputError('q', `is ${q}, and there is no adapter to scale`, 'Give --adapter');
  const onTop = await Promise.all(folders.map((folder) => readAdapterFor(files, folder, onNotice)));
  for (const [i, adapter] of onTop.entries()) requirePolicy(adapter, folders[i]);
  const tokenizer = await Tokenizer.fromFiles(files);
  const model = await CausalLM.load(gpu, files, { trainable, dtype });
  const notice = precisionNotice(model);
  for (const line of notice ? [...model.notices, notice] : model.notices) onNotice?.(line);
  for (const [i, adapter] of onTop.entries()) model.attach(adapter, { name: folders[i] });
  const last = model.adapters.at(-1);
  if (last) last.factor = q;
  return { model, tokenizer };
}

/** Throws {@link InputError} for a reward model's adapter, which cannot write text. */
export function requirePolicy({ head }: Adapter, folder: string): void {
  if (!head) return;
  const wayOut = 'Score texts with it (webalign score), or give the adapter of a language model';
  throw new InputError(folder, 'is the adapter of a reward model, which has a head for scores', wayOut);
}

/** The bytes of weights by format, unless all are float32. */
function precisionNotice({ weightBytes }: CausalLM): string | undefined {
  if (weightBytes.size === 1) return undefined;
  const parts = [...weightBytes].map(([format, bytes]) => `${formatBytes(bytes)} in ${format}`);
  return `Weights: ${parts.join(', ')}`;
}

/** Reads the adapter in a folder; warns if it names another base model than `model`. */
export async function readAdapterFor(
  model: Origin,
  folder: string,
  onNotice?: (line: string) => void,
): Promise<Adapter> {
  const adapter = await readAdapter(folderFiles(folder));
  const notice = otherBaseNotice(adapter, recordedModel(model).model, folder);
  if (notice) onNotice?.(notice);
  return adapter;
}

/** `--json` output for the adapter. */
export function adapterJson({ vendor, architecture, software }: AdapterReport) {
  return { vendor, architecture, software };
}

/** The adapter in a few words. */
export function adapterName({ vendor, architecture, description, software }: AdapterReport): string {
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unknown';
  return software ? `${name} (software, on the CPU)` : name;
}
