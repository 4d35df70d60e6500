/**
 * The readers of files from unknown people, one row each: valid folders to begin with, and what to do with a folder. A
 * row's `run` may throw an `InputError`; what it reads must be what the reader promises, or `run` throws another error.
 */
import { exportFiles, importFile } from '../../demos/studio/preferences/files.ts';
import type { DataForm, DataRow } from '../../src/data/data-form.ts';
import { LABELLED } from '../../src/data/labelled-dataset.ts';
import { PREFERENCES } from '../../src/data/preference-dataset.ts';
import { readDataset } from '../../src/data/read-dataset.ts';
import { TEXTS } from '../../src/data/text-dataset.ts';
import { tokenizePairs } from '../../src/data/tokenize-completions.ts';
import { tokenizeTexts } from '../../src/data/tokenize-texts.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memorySource } from '../../src/io/byte-source.ts';
import { decodeCheckpoint, encodeCheckpoint, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { InputError } from '../../src/io/errors.ts';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import { toFloat32 } from '../../src/io/float.ts';
import { ggufFiles } from '../../src/io/gguf/files.ts';
import { vocabularyMetadata } from '../../src/io/gguf/vocabulary.ts';
import { memoryHubCache } from '../../src/io/hub/cache.ts';
import { hubFiles } from '../../src/io/hub/client.ts';
import { isObject, parseJson, parseJsonObject, scanJson } from '../../src/io/json.ts';
import { ADAPTER_WEIGHTS, checkAdapterFits, readAdapter, writeAdapter } from '../../src/io/peft.ts';
import { openSafetensors, parseSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import { MODEL_CONFIG, MODEL_GGUF, MODEL_WEIGHTS, openWeights } from '../../src/io/weights.ts';
import { describeModel } from '../../src/model/description.ts';
import { openModelWeights } from '../../src/model/stored-weights.ts';
import { linearsOf, weightShapes } from '../../src/model/weight-shapes.ts';
import { hashOfFixed } from '../../src/train/resume.ts';
import { loadRun } from '../../src/train/state.ts';
import gemma3 from '../fixtures/architectures/gemma3.json' with { type: 'json' };
import { type Folder, jsonBytes, textOf } from './folder.ts';
import * as seeds from './seeds.ts';
import { ELEMENT_BYTES, WORDS } from './seeds.ts';

export interface Target {
  seeds: readonly Folder[] | (() => Promise<readonly Folder[]>);
  /** Words of the format, which the fuzzer inserts. */
  words?: readonly string[];
  run(folder: Folder): unknown;
  /** What a reader may request in total besides a multiple of the folder's size; default 64. */
  megabytes?: number;
  /** What an error may name besides a file: the folder, if no single file is wrong. */
  blames?: string;
}

/** The folders' name in messages. */
export const FOLDER = 'hostile';

/** Something that must be true of what was read, whatever the file contained. */
function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`unsound: ${what}`);
}

/** The only file of a folder. */
function only(folder: Folder, name: string): Uint8Array<ArrayBuffer> {
  return folder[name] ?? new Uint8Array();
}

/** The columns that the tables of `seeds` have. */
const ANYTHING: DataForm<DataRow> = {
  columns: seeds.COLUMNS,
  needed: [[]],
  wayOut: 'Change it',
  toRows: (value, where) => [{ value, where }],
};

const SAMPLES = ['the sky is blue', '', 'é 😀\u0000\ud800', '<s><|user|> a   b\n\n</s>', 'a'.repeat(100)];

async function useTokenizer(files: Files): Promise<Tokenizer> {
  const tokenizer = await Tokenizer.fromFiles(files);
  const { vocabSize, bosId, eosId } = tokenizer;
  holds(Number.isSafeInteger(vocabSize) && vocabSize >= 0, `vocabSize ${vocabSize}`);
  for (const id of [bosId, eosId]) holds(id === undefined || Number.isSafeInteger(id), `special id ${id}`);
  for (const text of SAMPLES) {
    const ids = tokenizer.encode(text);
    for (const id of ids)
      holds(Number.isSafeInteger(id) && id >= 0 && id < vocabSize, `id ${id} of ${vocabSize}`);
    holds(typeof tokenizer.decode(ids) === 'string', 'decoded is no text');
  }
  if (!tokenizer.hasChatTemplate) return tokenizer;
  const options = { addGenerationPrompt: true };
  holds(typeof tokenizer.applyChatTemplate(seeds.messages, options) === 'string', 'rendered is no text');
  tokenizer.encodeChat(seeds.messages);
  return tokenizer;
}

/** A model as the device would get it. */
async function useWeights(files: Files): Promise<void> {
  const { shapes, stored } = await openModelWeights(files, await describeModel(files));
  for (const [name, shape] of shapes) {
    const tensor = stored.get(name);
    if (!tensor) throw new Error(`unsound: ${name} is missing`);
    const { length } = toFloat32({ ...tensor, data: await tensor.read() });
    holds(length === shape.reduce((a, b) => a * b, 1), `${name} has ${length} values of (${shape})`);
  }
}

async function useGguf(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const files = await ggufFiles(memorySource(bytes, `${FOLDER}/${MODEL_GGUF}`));
  const uses: (() => unknown)[] = [() => useWeights(files), () => useTokenizer(files)];
  await throwFirst(uses);
}

/** The only file of a folder, as data of every kind. */
async function useRows(folder: Folder): Promise<void> {
  const [[name, bytes] = ['', new Uint8Array()]] = Object.entries(folder);
  const source = memorySource(bytes, `${FOLDER}/${name}`);
  const tokenizer = await Tokenizer.fromFiles(memoryFiles(seeds.tokenizer, 'tiny'));
  const uses: (() => unknown)[] = [
    async () => tokenizePairs(await readDataset(source, PREFERENCES), tokenizer),
    () => readDataset(source, LABELLED),
    async () => tokenizeTexts(await readDataset(source, TEXTS), tokenizer),
    () => readDataset(source, ANYTHING),
    () => useJudgments(new File([bytes], source.name)),
  ];
  await throwFirst(uses);
}

/** Judgments from a file, written and read again. */
async function useJudgments(file: File): Promise<void> {
  const { judgments, problems } = await importFile(file);
  for (const problem of problems) holds(problem.length < 1000, `a problem of ${problem.length} characters`);
  const [written] = await exportFiles(judgments, { form: 'all', type: 'jsonl' });
  if (!written) return;
  const again = await importFile(new File([written.bytes], written.name));
  holds(again.problems.length === 0, `written, and then ${again.problems[0]}`);
  const ids = (all: readonly { id: string }[]) => all.map(({ id }) => id).join();
  holds(ids(again.judgments) === ids(judgments), 'other judgments when written');
}

/** The rows, by the names that `--only` takes. */
export const TARGETS: Readonly<Record<string, Target>> = {
  json: {
    seeds: seeds.json,
    run(folder) {
      const text = textOf(only(folder, 'x.json')) ?? '';
      const { error } = scanJson(text.replace(/^\uFEFF/, ''));
      const value = parseJson(text, `${FOLDER}/x.json`);
      holds(error === undefined || /\d{400}/.test(text), `valid JSON, and the scanner stops at ${error}`);
      holds(value !== undefined, 'nothing was read');
    },
  },
  safetensors: {
    seeds: seeds.safetensors,
    async run(folder) {
      const bytes = only(folder, MODEL_WEIGHTS);
      const file = `${FOLDER}/${MODEL_WEIGHTS}`;
      const whole = await outcome(() => parseSafetensors(bytes, file));
      const opened = await outcome(() => openSafetensors(memorySource(bytes, file)));
      if (whole.error || opened.error) {
        holds(
          String(whole.error) === String(opened.error),
          'read whole and in pieces it is refused differently',
        );
        throw whole.error;
      }
      let total = 0;
      for (const [name, { dtype, shape, data }] of whole.value.tensors) {
        const piece = opened.value.tensors.get(name);
        holds((await piece?.read())?.join() === data.join(), 'other bytes in pieces');
        holds(
          shape.every((size) => Number.isSafeInteger(size) && size >= 0),
          `shape ${shape}`,
        );
        const size = ELEMENT_BYTES[dtype as keyof typeof ELEMENT_BYTES];
        if (size) holds(shape.reduce((a, b) => a * b, size) === data.byteLength, `${dtype} ${shape}`);
        total += data.byteLength;
      }
      holds(total <= bytes.byteLength, 'more bytes of tensors than the file has');
      const again = parseSafetensors(writeSafetensors(whole.value.tensors, whole.value.metadata), file);
      holds(
        [...again.tensors.keys()].sort().join() === [...whole.value.tensors.keys()].sort().join(),
        'names change when written',
      );
    },
  },
  weights: {
    seeds: seeds.shards,
    words: WORDS.shards,
    async run(folder) {
      for (const [name, { where, read }] of await openWeights(memoryFiles(folder, FOLDER))) {
        holds(typeof name === 'string' && where.startsWith(FOLDER), where);
        await read();
      }
    },
  },
  config: {
    seeds: seeds.configs,
    words: WORDS.configs,
    blames: FOLDER,
    async run(folder) {
      const { config, architecture } = await describeModel(memoryFiles(folder, FOLDER));
      holds(config.layers.length === config.numHiddenLayers, 'layers');
      for (const id of config.eosTokenIds)
        holds(Number.isSafeInteger(id) && id >= 0 && id < config.vocabSize, `end token ${id}`);
      holds(Number.isFinite(config.queryScale) && config.queryScale > 0 && config.normEps > 0, 'scales');
      for (const { window, rotary } of config.layers) {
        holds(window === undefined || (Number.isSafeInteger(window) && window > 0), `window ${window}`);
        if (!rotary || architecture.positions) continue;
        const { theta, linearFactor = 1, llama3: { factor } = { factor: 1 }, ...more } = rotary;
        const { attentionFactor = 1, factors = [], dimensions = 2 } = more;
        holds(dimensions % 2 === 0 && dimensions <= config.headDim, `${dimensions} coordinates turn`);
        for (const number of [theta, linearFactor, factor, attentionFactor, ...factors])
          holds(Number.isFinite(number) && number > 0, `rotary ${number}`);
      }
      const shapes = weightShapes(architecture, config);
      for (const [name, shape] of shapes) {
        holds(
          shape.every((size) => Number.isSafeInteger(size) && size > 0),
          `${name} (${shape})`,
        );
      }
      const weights = seeds.safetensors[0][MODEL_WEIGHTS];
      await useWeights(memoryFiles({ ...folder, [MODEL_WEIGHTS]: weights }, FOLDER));
    },
  },
  adapter: {
    seeds: seeds.adapters,
    words: WORDS.adapters,
    async run(folder) {
      const adapter = await readAdapter(memoryFiles(folder, FOLDER));
      for (const [name, { a, b, r, in: width, out }] of adapter.weights) {
        holds(
          a.length === r * width && b.length === out * r && r > 0,
          `${name}: ${r} × ${width}, ${out} × ${r}`,
        );
      }
      const again = await readAdapter(memoryFiles(writeAdapter(adapter), FOLDER));
      holds(
        [...again.weights.keys()].join() === [...adapter.weights.keys()].join(),
        'modules change when written',
      );
      holds(again.head?.join() === adapter.head?.join(), 'the head changes when written');
      holds(adapter.head?.every(Number.isFinite) ?? true, 'the head is not finite');
      const { config, architecture } = await describeModel(
        memoryFiles({ [MODEL_CONFIG]: jsonBytes(gemma3.config) }),
      );
      checkAdapterFits(adapter, linearsOf(architecture, config), `${FOLDER}/${ADAPTER_WEIGHTS}`);
    },
  },
  gguf: {
    seeds: seeds.ggufs,
    words: WORDS.ggufs,
    run: (folder) => useGguf(only(folder, MODEL_GGUF)),
  },
  'gguf-parts': {
    seeds: seeds.ggufParts,
    words: WORDS.ggufs,
    run: (folder) => useGguf(seeds.ggufOf(only(folder, 'parts.json'))),
  },
  checkpoint: {
    seeds: seeds.checkpoints,
    words: WORDS.checkpoints,
    async run(folder) {
      const checkpoint = await decodeCheckpoint(only(folder, 'checkpoint'), `${FOLDER}/checkpoint`);
      await encodeCheckpoint(checkpoint);
    },
  },
  hub: {
    seeds: seeds.hubs,
    words: WORDS.hubs,
    async run(folder) {
      const files = await hubFiles({ id: `${FOLDER}/tiny` }, memoryHubCache(), {
        endpoint: seeds.HUB,
        fetch: async (url) => seeds.hubAnswer(folder, String(url)),
        pause: async () => {},
      });
      await files.exists('config.json');
      await files.read('config.json');
    },
    blames: seeds.HUB,
  },
  'run-state': {
    seeds: seeds.runStates,
    words: ['step', 'tokens', 'numTokens', 'log', 'type', 'metrics', 'evaluate', 'epoch', 'run', 'changes'],
    async run(folder) {
      const file = `${FOLDER}/state.json`;
      const read = parseJson(textOf(only(folder, 'state.json')) ?? '', file);
      const run = { parts: {}, changeable: {}, settings: {}, mayChange: [] };
      const state = isObject(read) ? { changes: [], run, ...read } : read;
      const store = memoryCheckpointStore();
      try {
        const configHash = await hashOfFixed(run);
        await store.write(await encodeCheckpoint({ configHash, state, tensors: new Map() }));
      } catch {
        return; // what no checkpoint can hold
      }
      const loaded = await loadRun(store, run, Number.POSITIVE_INFINITY);
      holds((loaded?.state.step ?? -1) >= 0 && Array.isArray(loaded?.state.log), 'state');
    },
    blames: 'checkpoint',
  },
  tokenizer: {
    seeds: seeds.tokenizers,
    words: WORDS.tokenizers,
    async run(folder) {
      const files = memoryFiles(folder, FOLDER);
      const { vocabSize, special, chatTemplate } = await useTokenizer(files);
      const file = `${FOLDER}/tokenizer.json`;
      const json = parseJsonObject(await files.readText('tokenizer.json'), file);
      const settings = { size: vocabSize, special, addsBos: false, addsEos: false, chatTemplate };
      for (const [key, { type }] of vocabularyMetadata(json, file, settings)) holds(type !== undefined, key);
    },
  },
  template: {
    seeds: seeds.templates,
    words: WORDS.templates,
    run: (folder) => useTokenizer(memoryFiles({ ...seeds.tokenizer, ...folder }, FOLDER)),
  },
  rows: {
    seeds: seeds.rows,
    words: WORDS.rows,
    run: useRows,
  },
  csv: { seeds: seeds.csvs, words: WORDS.rows, run: useRows },
  // Pages are decompressed one after the other, twice, here by four kinds of data; Brotli uses four megabytes for each.
  parquet: { seeds: seeds.parquets, words: WORDS.rows, run: useRows, megabytes: 1024 },
};

type Outcome<T> = { value: T; error?: undefined } | { value?: undefined; error: Error };

/** What `action` returns or throws. */
async function outcome<T>(action: () => T): Promise<Outcome<Awaited<T>>> {
  try {
    return { value: await action() };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** Runs all of them, and throws the first error; anything but an `InputError` goes first. */
async function throwFirst(actions: readonly (() => unknown)[]): Promise<void> {
  const errors = [];
  for (const action of actions) errors.push((await outcome(action)).error);
  const error = errors.find((each) => each && !(each instanceof InputError)) ?? errors.find((each) => each);
  if (error) throw error;
}
