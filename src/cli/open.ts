/**
 * What commands open before they work: text files, the GPU of this machine, a model with its tokenizer and adapters; and
 * the device again when it was lost. Says what is wrong before it starts what is slow.
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
import { type Adapter, otherBaseNotice, readAdapter } from '../io/peft.ts';
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

/** Lost devices that are made up for; after that something is wrong for good. */
const MOST_RECOVERIES = 3;

/** The whole of a text file. Throws {@link InputError}. */
export async function readText(path: string): Promise<string> {
  return decodeText(await readAll(await openFile(path)), path);
}

/** A file, to be read piece by piece. Throws {@link InputError}. */
export async function openFile(path: string): Promise<ByteSource> {
  const source = await fileSource(path);
  if (source) return source;
  throw new InputError(path, 'there is no such file', 'Check the path');
}

/** The rows of a file of data, in the form that is asked for. A signal ends the process meanwhile: nothing is begun yet. */
export async function readRows<Row>(
  path: string,
  form: DataForm<Row>,
  onNotice?: (line: string) => void,
): Promise<Row[]> {
  const source = await openFile(path);
  return endedBySignals(() => readDataset(source, form, onNotice, strangerEnvironment()));
}

/**
 * Does `work` on a device and gives it back. Where the device is lost on the way, makes a new one and does the work
 * again, which has its checkpoints to go on from.
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
        `${what}. Going on with a new one from the last checkpoint (${lost} of ${MOST_RECOVERIES}).`,
      );
    } finally {
      gpu.dispose();
    }
  }
}

/** What `--model` names and the options beside it say. */
type ModelSettings = Pick<Settings, (typeof MODEL_OPTIONS)[number]> & { model: string };

/** Files smaller than this come without a word. */
const LARGE = 1e6;

/** The files of the model that is named, wherever they lie; what has to be fetched is told as it comes. */
export function openModelFiles(
  { model, revision, token, refresh }: ModelSettings,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Files> {
  if (token !== undefined)
    terminal.info('Others on this machine can read --token while the command runs. HF_TOKEN they cannot.');
  return openSource(model, {
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
}

/** Where a model has come from. */
export type Origin = Pick<Files, 'name' | 'revision'>;

/** How a record names a model, so that it is found from anywhere. */
export interface RecordedModel {
  /** A folder by its full path, a model of the hub by its id, another by its address. */
  model: string;
  /** The commit of a model of the hub. */
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
  /** How much of the last one counts. */
  q?: number | undefined;
  trainable?: boolean;
  /** In which precision the matrices are kept; as stored where it is left out. */
  dtype?: string | undefined;
  /** Hears what a person should know about the model and the adapters. */
  onNotice?: (line: string) => void;
}

/** The model in `files` with its tokenizer, and the adapters that are named on it. */
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
  for (const [i, adapter] of onTop.entries()) requirePolicy(adapter, folders[i] as string);
  const tokenizer = await Tokenizer.fromFiles(files);
  const model = await CausalLM.load(gpu, files, { trainable, dtype });
  const notice = precisionNotice(model);
  for (const line of notice ? [...model.notices, notice] : model.notices) onNotice?.(line);
  for (const [i, adapter] of onTop.entries()) model.attach(adapter, { name: folders[i] as string });
  const last = model.adapters.at(-1);
  if (last) last.factor = q;
  return { model, tokenizer };
}

/** Throws {@link InputError} for the adapter of a reward model, which writes no text. */
export function requirePolicy({ head }: Adapter, folder: string): void {
  if (!head) return;
  const wayOut = 'Score texts with it (webalign score), or give the adapter of a language model';
  throw new InputError(folder, 'is the adapter of a reward model, which has a head for scores', wayOut);
}

/** How the weights lie on the device, where not all of them are float32. */
function precisionNotice({ weightBytes }: CausalLM): string | undefined {
  if (weightBytes.size === 1) return undefined;
  const parts = [...weightBytes].map(([format, bytes]) => `${formatBytes(bytes)} in ${format}`);
  return `Weights: ${parts.join(', ')}`;
}

/** The adapter in a folder, with a word where it names another base model than `model`. */
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

/** What `--json` says of the adapter. */
export function adapterJson({ vendor, architecture, software }: AdapterReport) {
  return { vendor, architecture, software };
}

/** The adapter in a few words. */
export function adapterName({ vendor, architecture, description, software }: AdapterReport): string {
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unknown';
  return software ? `${name} (software, on the CPU)` : name;
}
