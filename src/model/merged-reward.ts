/**
 * Turns a merged model into a reward model: replaces the vocabulary head, and writes the configuration of a model for
 * sequence classification. Runs only on the host.
 */
import { Tokenizer } from '../data/tokenizer.ts';
import type { AdapterPart } from '../io/combine-adapters.ts';
import { InputError } from '../io/errors.ts';
import { exactJsonFile, parseExactJsonObject } from '../io/exact-json.ts';
import { type Files, ownBytes } from '../io/files.ts';
import { toFloat32Bytes } from '../io/float.ts';
import { SCORE_HEAD } from '../io/peft-head.ts';
import { MODEL_CONFIG } from '../io/weights.ts';
import { classifierConfig, padTokenId } from './classifier.ts';
import type { ModelDescription } from './description.ts';
import type { MergedSource, MergeOptions } from './merged-model.ts';

/**
 * The head of the reward model among the adapters. Throws {@link InputError} for several reward models, and for a weight
 * other than 1.
 */
export function headOf(parts: readonly AdapterPart[]): Float32Array | undefined {
  const [first, ...others] = parts.filter(({ adapter }) => adapter.head);
  if (!first) return undefined;
  if (others.length === 0 && first.factor === 1) return first.adapter.head;
  const what = 'is the adapter of a reward model, which can only be merged alone and with its full weight';
  throw new InputError(first.name ?? 'adapter', what, 'Leave out other reward models and --q');
}

/** Throws {@link InputError} if one of the adapters is a reward model. */
export function refuseHeads(parts: readonly AdapterPart[], format: string): void {
  const scored = parts.find(({ adapter }) => adapter.head);
  if (!scored) return;
  const what = `is the adapter of a reward model, but ${format} cannot store its head`;
  throw new InputError(scored.name ?? 'adapter', what, 'Export it as peft or merged');
}

/** Throws {@link InputError} if transformers has no sequence classification model for this architecture. */
function classifierOf(source: Files, { architecture, config }: ModelDescription): string {
  if (architecture.classifier) return architecture.classifier;
  const what = `has type ${config.modelType}, for which transformers has no model for sequence classification`;
  throw new InputError(source.name, what, 'Use the adapter unmerged, on its base model');
}

/** Replaces the vocabulary head by the reward head. */
export function putHead(
  tensors: Map<string, MergedSource>,
  head: Float32Array,
  { architecture, config }: ModelDescription,
): void {
  if (head.length !== config.hiddenSize) {
    const what = `has ${head.length} numbers, but the model's hidden states have ${config.hiddenSize}`;
    throw new InputError(SCORE_HEAD, what, 'Give the model that the adapter was trained on');
  }
  tensors.delete(`${architecture.head}.weight`);
  const data = ownBytes(toFloat32Bytes(head));
  const shape = [1, head.length];
  tensors.set(SCORE_HEAD, {
    dtype: 'F32',
    storedAs: 'F32',
    shape,
    where: SCORE_HEAD,
    read: async () => data,
  });
}

/**
 * The `config.json` of the reward model, if transformers supports one: one label, and the pad token id that determines the
 * scored token.
 */
export async function rewardConfig(
  source: Files,
  description: ModelDescription,
  { padTokenId: skipped, onNotice }: MergeOptions & { onNotice: (line: string) => void },
): Promise<Uint8Array> {
  const base = parseExactJsonObject(await source.readText(MODEL_CONFIG), `${source.name}/${MODEL_CONFIG}`);
  const own = await padTokenId(source);
  const pad =
    (skipped === undefined ? own : (skipped ?? undefined)) ?? (await harmlessPad(source, description, own));
  if (pad === undefined)
    onNotice(
      'Every pad token could end a text, so pad_token_id is null: transformers scores such a model one text at a time.',
    );
  const config = classifierConfig(base, classifierOf(source, description), pad);
  return exactJsonFile(config);
}

/** A pad token that does not change which token is scored, because no text ends with it. */
async function harmlessPad(
  source: Files,
  { config }: ModelDescription,
  own: number | undefined,
): Promise<number | undefined> {
  const tokenizer = (await source.exists('tokenizer.json')) ? await Tokenizer.fromFiles(source) : undefined;
  const ends = [...config.eosTokenIds, tokenizer?.eosId];
  return [own, tokenizer?.padId].find((id) => id !== undefined && !ends.includes(id));
}
