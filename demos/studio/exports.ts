/** What the worker makes of a run for others to read, a row each. The page downloads what it is given. */
import type { Tokenizer } from 'webalign';
import type { Files } from 'webalign/files';
import type { Gpu } from 'webalign/gpu';
import {
  type Adapter,
  describeModel,
  ggufAdapter,
  type ModelConfig,
  streamGgufModel,
  streamMergedModel,
} from 'webalign/models';
import { type RunState, readRunState } from 'webalign/trainers';
import { writeLargeFile } from './large-files.ts';
import type { StudioKept, StudioRecord } from './record.ts';
import type { Runtime } from './runtime.ts';
import { zipped } from './zip.ts';

/** Everything that is known of a run. */
export interface Exported {
  /** The folder of the model. */
  files: Files;
  tokenizer: Tokenizer;
  config: ModelConfig;
  gpu: Gpu;
  /** The model's name. */
  model: string;
  /** As it stands. */
  adapter: Adapter;
  record: StudioRecord;
  /** Whether it trains at this moment, and the checkpoint is older than the adapter. */
  isRunning: boolean;
  state: RunState | undefined;
  /** The checkpoint, as the trainer wrote it. */
  checkpoint: Uint8Array<ArrayBuffer> | undefined;
  /** Hears what a person should know of what is written. */
  onNotice(text: string): void;
}

const MODEL = 'webalign-model';
/** A zip's own lines beside its files. */
const ZIP_BYTES = 2 ** 20;

const partsOf = ({ adapter }: Exported) => [{ adapter, factor: 1, name: 'the adapter' }];

const blobOf = (name: string, content: BlobPart, type = 'application/octet-stream') =>
  new File([content], name, { type });

const EXPORTS = {
  ggufAdapter: async (run) =>
    blobOf('webalign-adapter.gguf', ggufAdapter(await describeModel(run.files), run.adapter)),

  ggufModel: async (run) => {
    const { bytes, pieces } = await streamGgufModel(run.files, partsOf(run));
    return writeLargeFile(`${MODEL}.gguf`, bytes, pieces());
  },

  mergedModel: async (run) => {
    const files = await streamMergedModel(run.files, partsOf(run), run.onNotice);
    const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, ZIP_BYTES);
    return writeLargeFile(`${MODEL}.zip`, bytes, zipped(MODEL, files));
  },

  // Loaded when asked for: the report brings its charts along.
  report: async (run) => {
    const { reportOf } = await import('./report.ts');
    return blobOf('report.html', reportOf(run), 'text/html');
  },

  trl: async (run) => {
    const { trlZip } = await import('./trl.ts');
    return blobOf('webalign-trl.zip', await trlZip(run), 'application/zip');
  },
} as const satisfies Readonly<Record<string, (run: Exported) => Promise<File>>>;

export type ExportName = keyof typeof EXPORTS;

type FromRuntime = 'files' | 'tokenizer' | 'gpu' | 'config' | 'state' | 'checkpoint';

/** Makes the file of this name from a run and what it works on. */
export async function makeExport(
  name: ExportName,
  { runtime, kept, ...run }: Omit<Exported, FromRuntime> & { runtime: Runtime; kept: StudioKept },
): Promise<File> {
  const { files, tokenizer, gpu, model } = runtime;
  return EXPORTS[name]({
    ...run,
    files,
    tokenizer,
    gpu,
    config: model.config,
    state: await readRunState(kept.checkpoint),
    checkpoint: await kept.checkpoint.read(),
  });
}
