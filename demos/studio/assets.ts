/**
 * The model that the page opens with: one that this browser keeps, or the embedded storyteller, which is fetched from beside the
 * page; and prompts to offer to it.
 */
import { readPreferenceRows, Tokenizer } from 'webalign';
import { type Files, fetchFiles } from 'webalign/files';
import { describeModel, type LoadOptions } from 'webalign/models';
import { messageOf } from '../shared/message-of.ts';
import { fetchModel } from '../shared/model.ts';
import { chooseModel, currentModel, type KeptModel, modelFiles } from './library.ts';
import type { Opened } from './messages.ts';
import { parametersOf } from './planning.ts';
import { BEGINNINGS, QUESTIONS } from './questions.ts';
import type { Runtime } from './runtime.ts';

export interface Assets {
  model: Files;
  /** Numbers in its weights. */
  parameters: number;
  /** How it is loaded; undefined for the embedded one. */
  loading: LoadOptions | undefined;
  suggestions: readonly string[];
  /** Of this browser's database for its runs. */
  database: string;
}

const DATABASE = 'webalign-studio';

/** Opens what `use` needs with the current model; where that fails, with the storyteller, and says why. */
export async function withModel<Made>(
  base: string,
  use: (assets: Assets) => Promise<Made>,
): Promise<{ made: Made; problem: string }> {
  const current = await currentModel().catch(() => undefined);
  if (!current) return { made: await use(await fetchStoryteller(base)), problem: '' };
  try {
    return { made: await use(await openKeptModel(current)), problem: '' };
  } catch (error) {
    await chooseModel(undefined);
    const problem = `${current.name} could not be opened: ${messageOf(error)} The embedded storyteller is here instead.`;
    return { made: await use(await fetchStoryteller(base)), problem };
  }
}

async function openKeptModel(kept: KeptModel): Promise<Assets> {
  const model = await modelFiles(kept);
  const parameters = parametersOf(await describeModel(model));
  const loading: LoadOptions = { dtype: kept.dtype };
  const { hasChatTemplate } = await Tokenizer.fromFiles(model);
  const suggestions = hasChatTemplate ? QUESTIONS : BEGINNINGS;
  return { model, parameters, loading, suggestions, database: `${DATABASE} ${kept.id}` };
}

/** The embedded storyteller and openings of stories for it, which the demo `align` holds out. */
async function fetchStoryteller(base: string): Promise<Assets> {
  const data = fetchFiles(new URL('../align/data', base).href);
  const file = 'eval.jsonl';
  const [embedded, rows] = await Promise.all([
    fetchModel(new URL('../align/model', base).href),
    data.readText(file).then((text) => readPreferenceRows(text, file)),
  ]);
  const suggestions = rows.map(({ prompt }) => prompt as string);
  return { ...embedded, loading: undefined, suggestions, database: DATABASE };
}

/** What the page is told of the model that was opened. */
export function openedOf(
  { model, tokenizer, gpu }: Runtime,
  { parameters, loading, suggestions }: Assets,
  about: Pick<Opened, 'problem' | 'reward'>,
): Opened {
  return {
    adapter: gpu.adapter,
    model: {
      name: model.name,
      parameters,
      positions: model.config.maxPositionEmbeddings,
      chats: tokenizer.hasChatTemplate,
      embedded: loading === undefined,
    },
    suggestions,
    ...about,
  };
}
