/**
 * Describes a model from its configuration files: its sizes and its architecture. Reads no weights.
 */
import { own } from '../base/lookup.ts';
import { type ModelConfig, parseConfigText, parseGenerationEnds, type TokenIds } from '../io/config.ts';
import type { Files } from '../io/files.ts';
import { GENERATION_CONFIG, MODEL_CONFIG } from '../io/weights.ts';
import type { Architecture } from './architecture.ts';
import { ARCHITECTURES, DIALECTS } from './architectures.ts';
import { isClassifier } from './classifier.ts';

/** A model's configuration and architecture. */
export interface ModelDescription {
  config: ModelConfig;
  architecture: Architecture;
  /** There is no vocabulary head, or it is not needed; the embedding is used in its place. */
  headless?: boolean;
}

/** Reads the `config.json` and the `generation_config.json` of a Hugging Face folder. Throws {@link InputError}. */
export async function describeModel(files: Files): Promise<ModelDescription> {
  const config = parseConfigText(
    await files.readText(MODEL_CONFIG),
    `${files.name}/${MODEL_CONFIG}`,
    DIALECTS,
  );
  const ends = await generationEnds(files, config);
  const notices = [...(config.notices ?? []), ...(ends?.notices ?? [])];
  const architecture = own(ARCHITECTURES, config.modelType)!;
  const description = {
    config: {
      ...config,
      eosTokenIds: ends?.ids ?? config.eosTokenIds,
      ...(notices.length > 0 && { notices }),
    },
    architecture,
  };
  return (await isClassifier(files)) ? withoutHead(description) : description;
}

/** The same model, used only for its hidden states. */
export function withoutHead({ config, architecture }: ModelDescription): ModelDescription {
  return { config: { ...config, tieWordEmbeddings: true }, architecture, headless: true };
}

/** The end tokens in `generation_config.json`, which replace those of `config.json`; undefined if there is no such file. */
async function generationEnds(
  files: Files,
  { vocabSize, eosTokenIds }: ModelConfig,
): Promise<TokenIds | undefined> {
  if (!(await files.exists(GENERATION_CONFIG))) return undefined;
  const text = await files.readText(GENERATION_CONFIG);
  return parseGenerationEnds(text, `${files.name}/${GENERATION_CONFIG}`, vocabSize, eosTokenIds.length > 0);
}
