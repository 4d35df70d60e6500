/**
 * A run as a folder for TRL: the same model, rows, settings and initial adapter with a short Python script, so that it can
 * be repeated, checked or scaled there. Writes files; runs no Python.
 */
import { basename } from 'node:path';
import { say, setting } from '../base/sentence.ts';
import type { PreferenceRow } from '../data/preference-dataset.ts';
import { tokenizePairs } from '../data/tokenize-completions.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { InputError, quote } from '../io/errors.ts';
import type { Files as ModelFiles } from '../io/files.ts';
import { type LoraConfig, readAdapter, writeAdapter } from '../io/peft.ts';
import { resolveTargetModules } from '../io/target-modules.ts';
import { padTokenId } from '../model/classifier.ts';
import { describeModel } from '../model/description.ts';
import { freshAdapter } from '../model/lora.ts';
import { linearsOf } from '../model/weight-shapes.ts';
import { folderFiles } from '../node/folder.ts';
import type { DPOConfig, OnlineDPOConfig, RewardConfig } from '../train/config.ts';
import { skippedToken } from '../train/scored-token.ts';
import { freshHeadValues } from '../train/scorer.ts';
import type { Method } from './method.ts';
import { type RecordedModel, recordedModel } from './open.ts';
import { type RecordedRun, type RunRecord, readRuns } from './run-record.ts';
import { dataSettingsOf, readData } from './training-data.ts';
import { jsonl, scriptArguments, TRL_REQUIREMENTS, TRL_SCRIPT, TRL_STAGES, utf8 } from './trl-parts.ts';
import { onlineArguments, requireOnline, rewardsScript, TRL_REWARDS } from './trl-rewards.ts';
import { stagesScript, trainingScript } from './trl-script.ts';

const SETTINGS = 'settings.json';

/**
 * The folder's files, by path, for the run in the folder `run`; a run in stages has one subfolder per stage. Throws
 * {@link InputError} if TRL cannot do the same.
 */
export async function trlFiles(run: string, options: TrlOptions): Promise<Files> {
  const runs = await readRuns(run);
  if (!(runs instanceof Map)) return filesOf(runs, options);
  const files: Files = {};
  for (const [name, stage] of runs) Object.assign(files, below(name, await filesOf(stage, options)));
  return { ...files, [TRL_STAGES]: utf8(stagesScript([...runs.keys()])) };
}

export interface TrlOptions {
  /** Whether the token ids are written too. */
  tokenIds: boolean;
  /** Opens the model that a run started from. */
  open(recorded: RecordedModel): Promise<ModelFiles>;
  /** Receives notices about the exported files. */
  onNotice(line: string): void;
}

type Files = Record<string, Uint8Array>;

const below = (folder: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));

async function filesOf(
  { folder, record, method }: RecordedRun,
  { tokenIds, open, onNotice }: TrlOptions,
): Promise<Files> {
  const { model, revision, dtype = 'float32', data, evalData, rows, settings, lora } = record;
  const { trl } = method;
  if (trl === undefined) {
    const wayOut = 'Export the adapter with --format peft, merged or gguf';
    const what = `a run of ${method.name} cannot be exported to TRL: its rewards are JavaScript functions, which Python cannot call`;
    throw new InputError(folder, what, wayOut);
  }
  if (/\.gguf$/i.test(model)) {
    const wayOut = 'Train on the Hugging Face folder, or export the adapter with --format peft or gguf';
    throw new InputError(folder, `its model is ${model}, and TRL cannot train GGUF`, wayOut);
  }
  if (trl.hasRewards) requireOnline(settings as OnlineDPOConfig, folder);
  // Weights as stored in a folder are the same numbers in float32.
  if (dtype !== 'auto' && dtype !== 'float32')
    onNotice(
      `The run kept its base in ${dtype}, and the script loads it in float32: its numbers will differ`,
    );
  const all = await readData(method, { ...dataSettingsOf(record), seed: settings.seed }, onNotice);
  const parts = {
    train: all.train.slice(0, rows?.train),
    // TRL's trainers on rewards sample in training only.
    ...(all.evaluation.length > 0 && !trl.hasRewards
      ? { eval: all.evaluation.slice(0, rows?.evaluation) }
      : {}),
  };
  const files: Files = {};
  const idsOf = tokenIds ? await tokenIdsOf(method, record, await open(record)) : undefined;
  for (const [name, part] of Object.entries(parts)) {
    files[`${name}.jsonl`] = jsonl(inTrlsColumns(part));
    if (idsOf) files[`${name}.ids.jsonl`] = jsonl(idsOf(part));
  }
  if (method.trl?.model.hasHead) await requireSameToken(folder, record, await open(record));
  const args = scriptArguments(method.name, settings);
  const settingsJson = {
    model,
    revision,
    data,
    evalData,
    args: trl.hasRewards ? onlineArguments(args, await positionsOf(await open(record))) : args,
  };
  return {
    ...files,
    ...(trl.hasRewards ? { [TRL_REWARDS]: utf8(rewardsScript(record.rewards ?? [])) } : {}),
    ...(lora ? await adapters(folder, record, lora, { open, method }) : {}),
    'requirements.txt': utf8(TRL_REQUIREMENTS),
    [SETTINGS]: utf8(`${JSON.stringify(settingsJson, null, 2)}\n`),
    [TRL_SCRIPT]: utf8(
      trainingScript(method.name, trl, { hasAdapter: lora !== null, hasIds: tokenIds, settings: SETTINGS }),
    ),
  };
}

const positionsOf = async (model: ModelFiles) => (await describeModel(model)).config.maxPositionEmbeddings;

/** Rows with the columns that TRL's DPO makes from them. */
async function tokenIdsOf({ name }: Method, { settings }: RunRecord, model: ModelFiles) {
  if (name !== 'dpo') {
    const wayOut = 'Leave out --token-ids: TRL tokenizes the text by the same rules';
    throw new InputError('token ids', `only TRL's DPO accepts them, and this is ${name}`, wayOut);
  }
  const tokenizer = await Tokenizer.fromFiles(model);
  const { maxPositionEmbeddings } = (await describeModel(model)).config;
  const maxLength = Math.min((settings as DPOConfig).maxLength, maxPositionEmbeddings);
  return (rows: readonly unknown[]) =>
    tokenizePairs(rows as PreferenceRow[], tokenizer, { maxLength }).pairs.map(
      ({ prompt, chosen, rejected }) => ({ prompt_ids: prompt, chosen_ids: chosen, rejected_ids: rejected }),
    );
}

/** The adapter before the first step and at the end, and the adapters below it. */
async function adapters(
  run: string,
  record: RunRecord,
  lora: LoraConfig,
  { open, method }: Pick<TrlOptions, 'open'> & { method: Method },
) {
  const { initAdapter, settings } = record;
  const written = async (folder: string) => writeAdapter(await readAdapter(folderFiles(folder)));
  const start = initAdapter
    ? await written(initAdapter)
    : await freshFiles(await open(record), lora, {
        seed: settings.seed,
        hasHead: method.trl?.model.hasHead ?? false,
      });
  const files = { ...below('start', start), ...below('trained', await written(run)) };
  for (const path of record.below ?? [])
    Object.assign(files, below(`below/${basename(path)}`, await written(path)));
  return files;
}

async function freshFiles(
  model: ModelFiles,
  lora: LoraConfig,
  { seed, hasHead }: { seed: number; hasHead: boolean },
): Promise<Files> {
  const { config, architecture } = await describeModel(model);
  const linears = linearsOf(architecture, config);
  const targets = resolveTargetModules(lora.targetModules, [...linears.keys()]);
  const shapes = new Map(targets.map((name) => [name, linears.get(name)!]));
  const fresh = freshAdapter(lora, shapes, recordedModel(model).model, seed);
  const base = model.revision === undefined ? {} : { baseRevision: model.revision };
  const head = hasHead ? { head: freshHeadValues(config.hiddenSize, seed) } : {};
  return writeAdapter({ ...fresh, ...base, ...head, fanInFanOut: architecture.transposed ?? false });
}

/**
 * TRL scores the last token other than its pad token, or EOS if there is none. Throws {@link InputError} for a run that
 * scored another one, and for one whose head TRL would initialize randomly.
 */
async function requireSameToken(folder: string, { settings, lora }: RunRecord, model: ModelFiles) {
  if (!lora) {
    const what =
      'a fully trained reward model cannot be exported to TRL: its head would be initialized differently';
    throw new InputError(folder, what, 'Train an adapter, or export the model with --format merged');
  }
  const tokenizer = await Tokenizer.fromFiles(model);
  const { eosTokenIds } = (await describeModel(model)).config;
  const context = { tokenizer, eosTokenIds, modelPadId: await padTokenId(model) };
  const ours = skippedToken((settings as RewardConfig).scoredToken, context);
  const theirs = skippedToken('last_non_pad', context);
  if (ours === theirs || ![ours, theirs].includes(tokenizer.eosId)) return;
  const what = say`its reward model scores another token than TRL, which pads with ${quote(tokenizer.token(theirs ?? -1))}`;
  throw new InputError(folder, what, say`Train with ${setting('scoredToken')} last_non_pad`);
}

/** Rows as TRL reads them; a margin is in all of them or in none. */
function inTrlsColumns(rows: readonly unknown[]): unknown[] {
  const written = rows.map(asTrlHasIt) as Record<string, unknown>[];
  const hasMargin = written.some(({ margin }) => margin !== undefined);
  return hasMargin ? written.map((row) => ({ ...row, margin: row.margin ?? 0 })) : written;
}

/** Token ids of a reward model's pairs. */
const isTokenIds = (ids: unknown) => Array.isArray(ids) && typeof ids[0] === 'number';

/** A row with TRL's names: a text without a prompt is "text", or "messages". */
function asTrlHasIt(row: unknown): unknown {
  const { where: _, chatTemplateKwargs, columns: more = {}, ...given } = row as Record<string, unknown>;
  // Of prompts: what rewards are given beside them.
  const rest: Record<string, unknown> = { ...given, ...(more as object) };
  const columns =
    chatTemplateKwargs === undefined ? rest : { ...rest, chat_template_kwargs: chatTemplateKwargs };
  const { completion, ...others } = columns;
  if (isTokenIds(rest.chosen)) {
    const { chosen, rejected, prompt: _, ...more } = rest;
    return { chosen_ids: chosen, rejected_ids: rejected, ...more };
  }
  if (rest.prompt !== undefined || completion === undefined) return columns;
  return { [typeof completion === 'string' ? 'text' : 'messages']: completion, ...others };
}
