/**
 * Models for sequence classification with one label, transformers' form of a reward model: the decoder with a head (1,
 * hidden) instead of the vocabulary head. Reads their `config.json` and finds the head.
 */

import { InputError, quote } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { type JsonObject, parsePythonObject } from '../io/json.ts';
import { headValues, SCORE_HEAD } from '../io/peft-head.ts';
import { MODEL_CONFIG, openWeights } from '../io/weights.ts';

/** Whether the model in `files` is a sequence classifier. */
export async function isClassifier(files: Files): Promise<boolean> {
  const { architectures } = await readConfig(files);
  return (
    Array.isArray(architectures) &&
    architectures.some((name) => `${name}`.endsWith('ForSequenceClassification'))
  );
}

/** The head's weights. Throws {@link InputError} if there is none, or if it has several labels. */
export async function readHead(files: Files): Promise<Float32Array> {
  const tensors = await openWeights(files);
  // Files of the first models omit the prefix of all other names; the head's name has none.
  const stored = tensors.get(SCORE_HEAD);
  if (!stored) {
    const wayOut = 'Give the adapter of a reward model with it, or a merged reward model';
    throw new InputError(files.name, `has no ${quote(SCORE_HEAD)}: it is not a reward model`, wayOut);
  }
  const { read, ...tensor } = stored;
  return headValues({ ...tensor, data: await read() } as Parameters<typeof headValues>[0]);
}

/**
 * `pad_token_id` of a model, which determines the token that transformers scores: the last one that is not the pad token.
 * If undefined, the last token is scored.
 */
export async function padTokenId(files: Files): Promise<number | undefined> {
  const { pad_token_id: id } = await readConfig(files);
  return typeof id === 'number' && Number.isSafeInteger(id) ? id : undefined;
}

/** Converts the `config.json` of a base model to that of the reward model based on it. */
export function classifierConfig(
  base: JsonObject,
  architecture: string,
  padTokenId: number | undefined,
): JsonObject {
  return {
    ...base,
    architectures: [architecture],
    id2label: { 0: 'LABEL_0' },
    label2id: { LABEL_0: 0 },
    pad_token_id: padTokenId ?? null,
  };
}

async function readConfig(files: Files): Promise<JsonObject> {
  return parsePythonObject(await files.readText(MODEL_CONFIG), `${files.name}/${MODEL_CONFIG}`);
}
