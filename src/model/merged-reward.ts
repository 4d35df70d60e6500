/**
 * What makes a merged model a reward model: the head in the place of the one for the vocabulary, and the configuration of a model
 * for sequence classification. On the host alone.
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

/** The head of a reward model among the adapters. Throws {@link InputError} for several, and for a share of one. */
export function headOf(parts: readonly AdapterPart[]): Float32Array | undefined {
  const [first, ...others] = parts.filter(({ adapter }) => adapter.head);
  if (!first) return undefined;
  if (others.length === 0 && first.factor === 1) return first.adapter.head;
  const what = 'is the adapter of a reward model, which counts whole and alone';
  throw new InputError(first.name ?? 'adapter', what, 'Leave out other reward models and --q');
}

/** Throws {@link InputError} where a reward model is among the adapters. */
export function refuseHeads(parts: readonly AdapterPart[], format: string): void {
  const scored = parts.find(({ adapter }) => adapter.head);
  if (!scored) return;
  const what = `is the adapter of a reward model, and ${format} has no place for its head`;
  throw new InputError(scored.name ?? 'adapter', what, 'Export it as peft or merged');
}

/** Throws {@link InputError} where transformers has no model for sequence classification of this architecture. */
function classifierOf(source: Files, { architecture, config }: ModelDescription): string {
  if (architecture.classifier) return architecture.classifier;
  const what = `is of type ${config.modelType}, for which transformers has no model for sequence classification`;
  throw new InputError(source.name, what, 'Use the adapter as it is, on its base model');
}

/** Puts the head in the place of the one for the vocabulary. */
export function putHead(
  tensors: Map<string, MergedSource>,
  head: Float32Array,
  { architecture, config }: ModelDescription,
): void {
  if (head.length !== config.hiddenSize) {
    const what = `has ${head.length} numbers, the model's hidden states have ${config.hiddenSize}`;
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

/** The `config.json` of the reward model, if transformers has such a model: one label, and the id by which transformers finds the token to score. */
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
      'There is no pad token that never ends a text, so pad_token_id is null: transformers scores such a model one text at a time.',
    );
  const config = classifierConfig(base, classifierOf(source, description), pad);
  return exactJsonFile(config);
}

/** A pad token beside which the last token of a text is scored, because no text ends with it. */
async function harmlessPad(
  source: Files,
  { config }: ModelDescription,
  own: number | undefined,
): Promise<number | undefined> {
  const tokenizer = (await source.exists('tokenizer.json')) ? await Tokenizer.fromFiles(source) : undefined;
  const ends = [...config.eosTokenIds, tokenizer?.eosId];
  return [own, tokenizer?.padId].find((id) => id !== undefined && !ends.includes(id));
}
