/**
 * Text to token ids and back, by a model's own `tokenizer.json`, and conversations to text by its chat template. The
 * work is done by Hugging Face's two libraries; this file reads their inputs, turns their failures into errors that
 * name the file, and settles the defaults as transformers does.
 */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { InputError, quote, reason } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { isObject, type Json, type JsonObject, parseJsonObject } from '../io/json.ts';
import { ChatTemplate, type Message } from './chat-template.ts';

const TOKENIZER = 'tokenizer.json';
const CONFIG = 'tokenizer_config.json';
const SPECIAL = 'special_tokens_map.json';
const TEMPLATE = 'chat_template.jinja';

/** More than any tokenizer has: the library looks each of them up in the list of all. */
const MOST_ADDITIONAL = 2 ** 14;
/** More ids than any vocabulary has. */
const MOST_IDS = 2 ** 21;

export class Tokenizer {
  /** Folder, for messages. */
  readonly name: string;
  private readonly file: string;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** One more than the highest token id. */
  readonly vocabSize: number;
  /** Whether encoding ends with EOS by the tokenizer's own rule. */
  readonly addsEos: boolean;
  private readonly tokenizer: HfTokenizer;
  private readonly config: JsonObject;
  /** Text of the special tokens by their name (`bos_token`), as a chat template sees them. */
  readonly special: Readonly<Record<string, string>>;
  private readonly template: ChatTemplate | undefined;

  private constructor(
    name: string,
    tokenizer: HfTokenizer,
    config: JsonObject,
    special: Record<string, string>,
    template: ChatTemplate | undefined,
  ) {
    this.name = name;
    this.file = `${name}/${TOKENIZER}`;
    this.tokenizer = tokenizer;
    this.config = config;
    this.special = special;
    this.template = template;
    const { bos_token: bos, eos_token: eos, pad_token: pad } = special;
    this.bosToken = bos;
    this.eosToken = eos;
    this.bosId = bos === undefined ? undefined : tokenizer.token_to_id(bos);
    this.eosId = eos === undefined ? undefined : tokenizer.token_to_id(eos);
    this.padId = pad === undefined ? undefined : tokenizer.token_to_id(pad);
    let highest = -1;
    for (const id of tokenizer.get_vocab().values()) highest = Math.max(highest, id);
    this.vocabSize = highest + 1;
    this.addsEos = this.eosId !== undefined && tokenizer.encode('a').ids.at(-1) === this.eosId;
  }

  /** Reads `tokenizer.json` and, where they are, the files beside it. {@link InputError} names the file. */
  static async fromFiles(files: Files): Promise<Tokenizer> {
    const optional = async (path: string): Promise<JsonObject> =>
      (await files.exists(path)) ? parseJsonObject(await files.readText(path), `${files.name}/${path}`) : {};
    const file = `${files.name}/${TOKENIZER}`;
    const json = parseJsonObject(await files.readText(TOKENIZER), file);
    refuseOddIds(json, file);
    const config = await optional(CONFIG);
    refuseManyTokens(config, `${files.name}/${CONFIG}`);
    const special = specialTokens({ ...(await optional(SPECIAL)), ...config });
    const apart = await files.exists(TEMPLATE);
    const source = apart ? await files.readText(TEMPLATE) : chatTemplate(config.chat_template);
    const place = `${files.name}/${apart ? TEMPLATE : CONFIG}`;
    const template = source === undefined ? undefined : new ChatTemplate(source, place, special);
    try {
      return new Tokenizer(files.name, new HfTokenizer(json, config), config, special, template);
    } catch (cause) {
      if (cause instanceof InputError) throw cause;
      const what = `is not a tokenizer that can be read: ${reason(cause)}`;
      throw new InputError(file, what, 'Save it again with the transformers library', { cause });
    }
  }

  /** The chat template as it is written. */
  get chatTemplate(): string | undefined {
    return this.template?.source;
  }

  get hasChatTemplate(): boolean {
    return this.template !== undefined;
  }

  /** Whether ids mean the same tokens in both. */
  isAlike(other: Tokenizer): boolean {
    if (this === other) return true;
    if (this.vocabSize !== other.vocabSize) return false;
    return [...this.tokenizer.get_vocab()].every(([token, id]) => other.tokenizer.token_to_id(token) === id);
  }

  /** Token ids of `text`; special tokens (BOS) are added unless told otherwise. */
  encode(text: string, { addSpecialTokens = true } = {}): number[] {
    const options = { add_special_tokens: addSpecialTokens };
    const { ids } = this.served(() => this.tokenizer.encode(text, options), `cannot encode ${quote(text)}`);
    // An id may also come from a rule of the file, which the library takes as it is.
    const odd = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabSize));
    if (odd < 0) return ids;
    const what =
      ids[odd] === undefined
        ? `the vocabulary has no tokens for ${quote(text)}, and no unknown token`
        : `encodes ${quote(text)} with ${quote(ids[odd])}, which is not in the vocabulary`;
    throw new InputError(this.file, what, 'Use the tokenizer that belongs to the model');
  }

  /** Text of token ids; special tokens are left out unless told otherwise. */
  decode(ids: Iterable<number>, { skipSpecialTokens = true } = {}): string {
    const list = [...ids];
    if (list.length === 0) return '';
    const options = {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: this.config.clean_up_tokenization_spaces === true,
    };
    return this.served(() => this.tokenizer.decode(list, options), `cannot decode ids such as ${list[0]}`);
  }

  /** Text of one token as it stands in the vocabulary (`▁once`), `undefined` where there is none. */
  token(id: number): string | undefined {
    return this.tokenizer.id_to_token(id);
  }

  /** A conversation as the model was trained to read it; `addGenerationPrompt` ends it where the answer starts. */
  applyChatTemplate(messages: readonly Message[], { addGenerationPrompt = false } = {}): string {
    if (!this.template) {
      const wayOut = `Use plain text, or put a ${TEMPLATE} into the model's folder`;
      throw new InputError(this.name, 'this model has no chat template, so it cannot read messages', wayOut);
    }
    return this.template.render(messages, addGenerationPrompt);
  }

  /** Token ids of a conversation. The template writes the special tokens itself. */
  encodeChat(messages: readonly Message[], options: { addGenerationPrompt?: boolean } = {}): number[] {
    return this.encode(this.applyChatTemplate(messages, options), { addSpecialTokens: false });
  }

  /** What the library gives; what a file makes it stumble over shows only when it works. */
  private served<T>(work: () => T, failure: string): T {
    try {
      return work();
    } catch (cause) {
      const what = `${failure}: ${reason(cause)}`;
      throw new InputError(this.file, what, 'Use the tokenizer that belongs to the model', { cause });
    }
  }
}

/** Throws {@link InputError} where the tokenizer has ids that a model of `vocabSize` embeddings does not. */
export function requireVocabulary(tokenizer: Pick<Tokenizer, 'name' | 'vocabSize'>, vocabSize: number): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new InputError(
    `${tokenizer.name}/${TOKENIZER}`,
    `has ${tokenizer.vocabSize} tokens, the model has embeddings for ${vocabSize}`,
    'Use the tokenizer that belongs to the model',
  );
}

/** Throws {@link InputError} for what is no token id of a model of `vocabSize` embeddings. */
export function requireTokenIds(
  ids: readonly unknown[],
  vocabSize: number,
  where: string,
): asserts ids is number[] {
  const odd = ids.find(
    (id) => !(typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabSize),
  );
  if (odd === undefined && !ids.includes(undefined)) return;
  throw new InputError(
    where,
    `${quote(odd)} is not a token id`,
    `Ids are whole numbers from 0 to ${vocabSize - 1}`,
  );
}

/** The library makes a list as long as the highest id, which must be one that a vocabulary can have. */
function refuseOddIds({ model, added_tokens: added }: JsonObject, file: string): void {
  const vocabulary = isObject(model) && isObject(model.vocab) ? Object.values(model.vocab) : [];
  const own = Array.isArray(added) ? added.map((token) => (isObject(token) ? token.id : token)) : [];
  for (const id of [...vocabulary, ...own]) {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MOST_IDS) continue;
    const wayOut = `Ids are whole numbers below ${MOST_IDS}: fetch the file again`;
    throw new InputError(file, `gives a token the id ${quote(id)}`, wayOut);
  }
}

function refuseManyTokens({ additional_special_tokens: more }: JsonObject, file: string): void {
  if (!Array.isArray(more) || more.length <= MOST_ADDITIONAL) return;
  const what = `has ${more.length} additional special tokens, at most ${MOST_ADDITIONAL} are read`;
  throw new InputError(file, what, 'Fetch the file again');
}

/** The `…_token` entries: plain text, or the `content` of an object. */
function specialTokens(config: JsonObject): Record<string, string> {
  const tokens = Object.entries(config).flatMap(([name, value]): [string, string][] => {
    const text = isObject(value) ? value.content : value;
    return name.endsWith('_token') && typeof text === 'string' ? [[name, text]] : [];
  });
  return Object.fromEntries(tokens);
}

/** `chat_template` of the configuration: a text, or a list of named ones whose "default" is taken. */
function chatTemplate(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value.filter(isObject).find(({ name }) => name === 'default');
  return typeof named?.template === 'string' ? named.template : undefined;
}
