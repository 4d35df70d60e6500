/**
 * `webalign export`: trained adapters in other formats: as one adapter, a whole model, an adapter for
 * llama.cpp, or a run for TRL; one row of the table per format. Needs no GPU.
 */

import { resolve } from 'node:path';
import { counted } from '../../base/counted.ts';
import { own } from '../../base/lookup.ts';
import { type AdapterPart, combineAdapters } from '../../io/combine-adapters.ts';
import { listed, quote } from '../../io/errors.ts';
import type { Files } from '../../io/files.ts';
import { readAdapter, writeAdapter } from '../../io/peft.ts';
import { MODEL_GGUF } from '../../io/weights.ts';
import { describeModel } from '../../model/description.ts';
import { ggufAdapter } from '../../model/gguf-adapter.ts';
import { ggufModel } from '../../model/gguf-model.ts';
import { mergedModelFiles } from '../../model/merged-model.ts';
import { folderFiles, writeFiles } from '../../node/folder.ts';
import { checkedScale } from '../../train/sacpo-trainer.ts';
import { command } from '../command.ts';
import { UsageError } from '../failures.ts';
import { openModelFiles, type RecordedModel, readAdapterFor } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { recordedSkip } from '../reward-models.ts';
import { GGUF_ADAPTER, openRunFolder, type RunFolderOptions } from '../run-folder.ts';
import { trlFiles } from '../trl-export.ts';
import { TRL_SCRIPT, TRL_STAGES } from '../trl-parts.ts';

interface Format {
  writes: RunFolderOptions['writes'];
  /** Completes the sentence "written to X as …". */
  as: string;
  /** The command that uses the files, in their folder. */
  next?(files: Record<string, unknown>): string;
  /** The files by name, in writing order. */
  files(from: Source): Promise<Record<string, Uint8Array>>;
}

interface Source {
  /** The folders of the adapters, as given by the user. */
  folders: readonly string[];
  /** The adapters in them. */
  parts(): Promise<AdapterPart[]>;
  /** The files of --model, or of the model that a run has recorded; a {@link UsageError} if there is neither. */
  model(recorded?: RecordedModel): Promise<Files>;
  /** Receives notices about the exported files. */
  onNotice(line: string): void;
  /** Whether to export a run's token ids. */
  tokenIds: boolean;
}

const FORMATS: Readonly<Record<string, Format>> = {
  peft: {
    writes: 'adapter',
    as: 'a PEFT adapter',
    files: async ({ parts }) => writeAdapter(asOne(await parts())),
  },
  merged: {
    writes: 'model',
    as: 'a merged model',
    files: async ({ folders, parts, model, onNotice }) => {
      const [source, adapters] = [await model(), await parts()];
      const padTokenId = await recordedSkip(folders, source);
      return mergedModelFiles(source, adapters, onNotice, { padTokenId });
    },
  },
  'merged-gguf': {
    writes: 'ggufModel',
    as: 'a merged GGUF model',
    files: async ({ parts, model }) => ({ [MODEL_GGUF]: await ggufModel(await model(), await parts()) }),
  },
  gguf: {
    writes: 'gguf',
    as: 'a GGUF adapter',
    files: async ({ folders, parts, model }) => {
      const description = await describeModel(await model());
      return { [GGUF_ADAPTER]: ggufAdapter(description, asOne(await parts()), folders.join(' + ')) };
    },
  },
  trl: {
    writes: 'trl',
    as: 'a run for TRL',
    next: (files) => (TRL_STAGES in files ? `sh ${TRL_STAGES}` : `accelerate launch ${TRL_SCRIPT}`),
    files: ({ folders: [run, ...others], tokenIds, model, onNotice }) => {
      if (run !== undefined && others.length === 0) return trlFiles(run, { tokenIds, open: model, onNotice });
      throw new UsageError('--format trl takes one --adapter, the folder of a run.');
    },
  },
};

export const exportCommand = command({
  name: 'export',
  summary: 'combine adapters, merge them into their model, or write them for llama.cpp or TRL',
  description:
    'Writes one or several adapters (such as the stages of sacpo), added up, in another format. --format peft: a single PEFT adapter, exact, ' +
    'with the sum of their ranks. --format merged: the model of --model with the adapters in its weights, in its stored ' +
    'types. --format merged-gguf: the same as one file for llama.cpp, in F16. --format gguf: an adapter for ' +
    'llama.cpp, for the GGUF of --model. A reward model can be written as peft or merged. --format trl: a Python script that repeats the run in the folder --adapter ' +
    'with TRL. --q scales the last adapter (P-SACPO). Needs no GPU.',
  example: 'export --format merged --model HuggingFaceTB/SmolLM2-135M --adapter adapter --out aligned',
  options: ['format', ...MODEL_OPTIONS, 'adapter', 'q', 'tokenIds', 'out', 'overwrite'],
  required: ['adapter', 'out'],
  defaults: { format: 'peft', q: 1 },
  async run({ settings, terminal, signal }) {
    const { format: name, model, revision, adapter: folders, q, tokenIds = false, out, overwrite } = settings;
    const format = own(FORMATS, name);
    if (!format)
      throw new UsageError(`--format is ${quote(name)}. Supported formats: ${listed(Object.keys(FORMATS))}.`);
    if (model !== undefined && resolve(out) === resolve(model))
      throw new UsageError('--out is the folder of --model, which would be overwritten: choose another.');
    checkedScale(q);
    if (tokenIds && name !== 'trl') throw new UsageError('--token-ids works only with --format trl.');
    const openModel: Source['model'] = async (recorded) => {
      const named = recorded
        ? { model: recorded.model, revision: recorded.revision ?? undefined }
        : { model, revision };
      if (named.model !== undefined)
        return openModelFiles({ ...settings, ...named, model: named.model }, terminal, signal);
      throw new UsageError(`--format ${name} needs --model, the adapters' base model.`);
    };
    const last = folders.length - 1;
    const read = async (folder: string, i: number) => ({
      adapter: await (model === undefined
        ? readAdapter(folderFiles(folder))
        : readAdapterFor(await openModel(), folder, (line) => terminal.info(line))),
      factor: i === last ? q : 1,
      name: folder,
    });
    const files = await format.files({
      folders,
      tokenIds,
      parts: () => Promise.all(folders.map(read)),
      model: openModel,
      onNotice: (line) => terminal.info(line),
    });
    await using folder = await openRunFolder(out, { writes: format.writes, atOnce: true, overwrite });
    await folder.clear();
    await writeFiles(out, files);
    const adapters = counted(folders.length, 'adapter');
    const scaled = q === 1 ? '' : `, the last one scaled by ${q},`;
    terminal.print(`${adapters}${scaled} written to ${out} as ${format.as}`);
    if (format.next) terminal.print(`To run it: cd ${out} && ${format.next(files)}`);
    return { json: { format: name, adapters: folders, q, files: Object.keys(files), out } };
  },
});

/** One adapter with the effect of all; a single unscaled one is returned unchanged. */
function asOne(parts: readonly AdapterPart[]) {
  const [only, ...others] = parts;
  return only && others.length === 0 && only.factor === 1 ? only.adapter : combineAdapters(parts);
}
