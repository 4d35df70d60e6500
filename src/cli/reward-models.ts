/**
 * Reward models as folders: an adapter with its head on the base that it names, or a whole model. Unless requested otherwise,
 * the scored token is the one that the folder's run has recorded.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { own } from '../base/lookup.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError, quote } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { isObject, parseJsonObject } from '../io/json.ts';
import { ADAPTER_CONFIG, type Adapter, otherBaseNotice, readAdapter } from '../io/peft.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { padTokenId } from '../model/classifier.ts';
import { describeModel } from '../model/description.ts';
import { folderFiles } from '../node/folder.ts';
import { RewardModel } from '../train/measures/reward-model.ts';
import { type ScoredToken, skippedToken } from '../train/scored-token.ts';
import { SCORED_TOKENS } from '../train/settings/losses.ts';
import { openModelFiles } from './open.ts';
import type { Settings } from './options.ts';
import { RUN_RECORD } from './run-folder.ts';
import type { Terminal } from './terminal.ts';

/** The context in which a reward model is loaded. */
export interface RewardContext {
  model: CausalLM;
  tokenizer: Tokenizer;
  settings: Settings;
  terminal: Terminal;
  signal: AbortSignal;
}

/** The rule by which the run in an adapter's folder was trained. */
export async function recordedToken(folder: string): Promise<ScoredToken | undefined> {
  const files = folderFiles(folder);
  if (!(await files.exists(RUN_RECORD))) return undefined;
  const { settings } = parseJsonObject(await files.readText(RUN_RECORD), `${files.name}/${RUN_RECORD}`);
  const rule = isObject(settings) ? own(settings, 'scoredToken') : undefined;
  return SCORED_TOKENS.find((name) => name === rule);
}

/**
 * The token id that the runs in these folders skip before scoring; null if they score the last token; undefined if none records
 * more than the model's own configuration.
 */
export async function recordedSkip(
  folders: readonly string[],
  files: Files,
): Promise<number | null | undefined> {
  const rules = await Promise.all(folders.map(recordedToken));
  const rule = rules.find((each) => each !== undefined && each !== 'auto');
  if (rule === undefined) return undefined;
  const { config } = await describeModel(files);
  const tokenizer = (await files.exists('tokenizer.json')) ? await Tokenizer.fromFiles(files) : undefined;
  const modelPadId = await padTokenId(files);
  return skippedToken(rule, { tokenizer, modelPadId, eosTokenIds: config.eosTokenIds }) ?? null;
}

/** The reward model in a folder, on the policy's own base if it is the same. Throws {@link InputError}. */
export async function rewardModelIn(folder: string, context: RewardContext): Promise<RewardModel> {
  const name = basename(resolve(folder));
  const { model, tokenizer, settings, terminal, signal } = context;
  const { gpu } = model;
  const open = (source: string, revision?: string) =>
    openModelFiles({ ...settings, model: source, revision }, terminal, signal);
  if (!(await folderFiles(folder).exists(ADAPTER_CONFIG)))
    return RewardModel.load(gpu, await open(folder), { name });
  const adapter = await readAdapter(folderFiles(folder));
  const scoredToken = (await recordedToken(folder)) ?? 'auto';
  if (sharesBase(adapter, model)) return RewardModel.on(model, adapter, { tokenizer, scoredToken, name });
  const base = await open(adapter.baseModel || model.name, adapter.baseRevision);
  return RewardModel.load(gpu, base, { adapter, scoredToken, name });
}

/** Whether the adapter names this model and the model does not train; a moved folder is recognized by its last name. */
function sharesBase({ baseModel, ...adapter }: Adapter, { name, revision, parameters }: CausalLM): boolean {
  const { baseRevision = revision } = adapter;
  if (parameters || baseRevision !== revision) return false;
  if (baseModel === '' || baseModel === name || resolve(baseModel) === resolve(name)) return true;
  return !existsSync(baseModel) && otherBaseNotice({ ...adapter, baseModel }, name, '') === undefined;
}

/** A reward model from `--model` and `--adapter`. Throws {@link InputError}. */
export async function openRewardModel(
  gpu: Gpu,
  files: Files,
  { adapter: folders = [], dtype, scoredToken }: Pick<Settings, 'adapter' | 'dtype' | 'scoredToken'>,
  onNotice: (line: string) => void,
): Promise<RewardModel> {
  const [folder, ...others] = folders;
  if (others.length > 0) {
    const what = `are ${folders.map((each) => quote(each)).join(' and ')}, and a reward model has one head`;
    throw new InputError('the adapters', what, 'Give one --adapter');
  }
  const adapter = folder === undefined ? undefined : await readAdapter(folderFiles(folder));
  const notice = adapter && otherBaseNotice(adapter, files.name, folder);
  if (notice) onNotice(notice);
  const rule = scoredToken ?? (folder === undefined ? undefined : await recordedToken(folder));
  return RewardModel.load(gpu, files, {
    adapter,
    ...(dtype !== undefined && { dtype: dtype as never }),
    ...(rule && { scoredToken: rule }),
    name: basename(resolve(folder ?? files.name)),
  });
}
