/** The worker of the page that fetches models: looks at one behind an address or on the hub, and keeps it. Knows no document. */
import { openSource, Tokenizer } from 'webalign';
import { type AdapterReport, type Gpu, requestGpu } from 'webalign/gpu';
import { describeModel, openModelWeights } from 'webalign/models';
import { chooseModel, keepHubModel, keepModel } from './library.ts';
import type { ModelPlan, PrecisionPlan } from './messages.ts';
import { planModel } from './planning.ts';
import { addressOf, filesToKeep, type Origin, originOf, remoteFiles } from './remote.ts';

/** What a person asks for. */
export interface Wanted {
  model: string;
  revision: string;
  token: string;
}

export type OnProgress = (text: string, done: number, total: number) => void;

/** What the page may ask for. Everything rejects with a sentence. */
export interface Connect {
  readonly adapter: AdapterReport;
  /** What the model needs, before its weights are fetched; undefined where the hub only shows it to a token. */
  look(wanted: Wanted): Promise<ModelPlan | undefined>;
  /** Fetches the model into this browser and makes it the one that the studio opens with. */
  keep(wanted: Wanted, dtype: PrecisionPlan['dtype'], onProgress: OnProgress): Promise<void>;
}

export class ConnectJob implements Connect {
  private constructor(private readonly gpu: Gpu) {}

  static readonly open = async (): Promise<ConnectJob> => new ConnectJob(await requestGpu());

  get adapter(): AdapterReport {
    return this.gpu.adapter;
  }

  async look({ model, revision, token }: Wanted): Promise<ModelPlan | undefined> {
    const origin = originOf(model, revision);
    // Pieces of a file are asked for without a token.
    if ('repository' in origin && token) return undefined;
    const files = await remoteFiles(addressOf(origin));
    return planModel(this.gpu, files, { name: nameOf(origin), fileBytes: 0 });
  }

  async keep(
    { model, revision, token }: Wanted,
    dtype: PrecisionPlan['dtype'],
    onProgress: OnProgress,
  ): Promise<void> {
    const origin = originOf(model, revision);
    const about = { name: nameOf(origin), dtype };
    const kept =
      'address' in origin
        ? await keepModel(await filesToKeep(origin.address), about, (done, total) =>
            onProgress(about.name, done, total),
          )
        : await keepHubModel({ ...about, hub: await fetchRepository(origin, token, onProgress) });
    await chooseModel(kept.id);
  }
}

/** Fetches what a model is made of into the hub's cache; resumes where an earlier attempt ended. Returns its name with the commit. */
async function fetchRepository(
  { repository: { id, file, revision } }: Extract<Origin, { repository: unknown }>,
  token: string,
  onProgress: OnProgress,
): Promise<string> {
  const name = `${id}${revision ? `@${revision}` : ''}${file ? `/${file}` : ''}`;
  const files = await openSource(name, {
    ...(token && { token }),
    refresh: true,
    onProgress: ({ file, loaded, total }) => onProgress(file, loaded, total),
  });
  await Tokenizer.fromFiles(files);
  await openModelWeights(files, await describeModel(files));
  return `${id}@${files.revision}${file ? `/${file}` : ''}`;
}

function nameOf(origin: Origin): string {
  if ('repository' in origin) return [origin.repository.id, origin.repository.file].filter(Boolean).join('/');
  return origin.address.pathname.split('/').filter(Boolean).at(-1) ?? origin.address.host;
}
