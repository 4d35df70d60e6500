/**
 * Converts text to token ids and back with a model's `tokenizer.json`, and conversations to text with its chat template.
 * Hugging Face's two libraries do the work; this file reads their inputs, converts their failures into errors that name the
 * file, and applies the defaults of transformers.
 */
import type { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { InputError, quote, reason } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { isObject, type JsonObject } from '../io/json.ts';
import { type AddedToken, addedTokens } from './added-tokens.ts';
import type { ChatOptions, ChatTemplate, Message } from './chat-template.ts';
import { guarded } from './stranger.ts';
import { tokensWithin } from './token-places.ts';
import { correctedTokenizer } from './tokenizer-corrections.ts';
import { readTokenizerFolder, type TemplateSource, TOKENIZER, templateFor } from './tokenizer-folder.ts';
import { libraryTokenizer, spellingOf } from './tokenizer-library.ts';

/** Options for rendering a conversation. */
export type ChatTemplateOptions = Partial<ChatOptions>;

/** More ids than any vocabulary has. */
const MOST_IDS = 2 ** 21;

type TemplateClass = typeof ChatTemplate;

export class Tokenizer {
  /** Folder, for error messages. */
  readonly name: string;
  private readonly file: string;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** One more than the highest token id. */
  readonly vocabSize: number;
  /** Whether the tokenizer's own rules add EOS when encoding. */
  readonly addsEos: boolean;
  private readonly tokenizer: HfTokenizer;
  private readonly cleansUp: boolean;
  /** Added tokens by text. */
  private readonly added: ReadonlyMap<string, AddedToken>;
  /** Texts of the special tokens by name (`bos_token`), as passed to a chat template. */
  readonly special: Readonly<Record<string, string>>;
  private readonly templates: ReadonlyMap<string, TemplateSource>;
  private readonly compiled = new Map<string, ChatTemplate>();
  private readonly Template: TemplateClass;

  private constructor(
    name: string,
    tokenizer: HfTokenizer,
    added: readonly AddedToken[],
    cleansUp: boolean,
    special: Record<string, string>,
    templates: ReadonlyMap<string, TemplateSource>,
    Template: TemplateClass,
  ) {
    this.name = name;
    this.Template = Template;
    this.file = `${name}/${TOKENIZER}`;
    this.tokenizer = tokenizer;
    this.cleansUp = cleansUp;
    this.added = new Map(added.map((token) => [token.content, token]));
    this.special = special;
    this.templates = templates;
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

  /** Reads `tokenizer.json` and the optional files besides it. Throws {@link InputError} with the invalid file. */
  static async fromFiles(files: Files): Promise<Tokenizer> {
    const { json, config, special, added, templates } = await readTokenizerFolder(files);
    // The interpreter is the larger part of the code for texts; a page that only uses token ids does not load it.
    const { ChatTemplate: Template } = await import('./chat-template.ts');
    const file = `${files.name}/${TOKENIZER}`;
    refuseOddIds(json, file);
    const splitsSpecial = config.split_special_tokens === true;
    const tokens = addedTokens(json, added, file);
    const make = () => {
      const options = { tokens, eosToken: special.eos_token, splitsSpecial, file };
      const tokenizer = libraryTokenizer(correctedTokenizer(json, file), options);
      const cut = splitsSpecial ? tokens.filter((token) => !token.special) : tokens;
      return new Tokenizer(files.name, tokenizer, cut, cleansUp(json, config), special, templates, Template);
    };
    const told = () => {
      try {
        return make();
      } catch (cause) {
        if (cause instanceof InputError) throw cause;
        const what = `is not a valid tokenizer: ${reason(cause)}`;
        throw new InputError(file, what, 'Save it again with the transformers library', { cause });
      }
    };
    return guarded(told, () => file);
  }

  /** The source of the chat template for conversations without tools. */
  get chatTemplate(): string | undefined {
    return this.templates.get('default')?.text;
  }

  /** Whether the tokenizer has a chat template, possibly only a named one. */
  get hasChatTemplate(): boolean {
    return this.templates.size > 0;
  }

  /** Whether ids have the same meaning in both. */
  isAlike(other: Tokenizer): boolean {
    if (this === other) return true;
    if (this.vocabSize !== other.vocabSize) return false;
    return [...this.tokenizer.get_vocab()].every(([token, id]) => other.tokenizer.token_to_id(token) === id);
  }

  /** Token ids of `text`; adds special tokens (BOS) by default. */
  encode(text: string, { addSpecialTokens = true } = {}): number[] {
    const options = { add_special_tokens: addSpecialTokens };
    const { ids } = this.served(() => this.tokenizer.encode(text, options), `cannot encode ${quote(text)}`);
    // A rule of the file may also contain an id, which the library does not check.
    const odd = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabSize));
    if (odd < 0) return ids;
    const what =
      ids[odd] === undefined
        ? `the vocabulary has neither tokens for ${quote(text)} nor an unknown token`
        : `encodes ${quote(text)} with ${quote(ids[odd])}, which is not in the vocabulary`;
    throw new InputError(this.file, what, 'Use the tokenizer that belongs to the model');
  }

  /** Text of token ids; omits special tokens by default. */
  decode(ids: Iterable<number>, { skipSpecialTokens = true } = {}): string {
    const list = [...ids];
    if (list.length === 0) return '';
    const options = {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: this.cleansUp,
    };
    return this.served(() => this.tokenizer.decode(list, options), `cannot decode ids such as ${list[0]}`);
  }

  /** The text of one token in the vocabulary's spelling (`▁once`); undefined if there is none. */
  token(id: number): string | undefined {
    return this.tokenizer.id_to_token(id);
  }

  /** Whether the token is an added token rather than part of the vocabulary for splitting texts: for example an end of turn. */
  isAdded(id: number): boolean {
    return this.added.has(this.token(id) ?? '');
  }

  /** A conversation in the format of the model's training; `addGenerationPrompt` ends it where the answer starts. */
  applyChatTemplate(messages: readonly Message[], options: ChatTemplateOptions = {}): string {
    return this.withTemplate(options, (template, own) => template.render(messages, own));
  }

  /** Token ids of a conversation. The template itself writes the special tokens. */
  encodeChat(messages: readonly Message[], options: ChatTemplateOptions = {}): number[] {
    return this.encode(this.applyChatTemplate(messages, options), { addSpecialTokens: false });
  }

  /**
   * Also returns for each token whether the assistant writes it, according to `{% generation %}` of the template:
   * transformers' `return_assistant_tokens_mask`. Throws {@link InputError} if the template does not mark it, or if tokens
   * cannot be located.
   */
  encodeMarkedChat(
    messages: readonly Message[],
    options: ChatTemplateOptions = {},
  ): { ids: number[]; isAssistant: boolean[] } {
    const { text, spans } = this.withTemplate(options, (template, own) =>
      template.renderMarked(messages, own),
    );
    const ids = this.encode(text, { addSpecialTokens: false });
    const tokens = ids.map((id) => this.token(id)!);
    const { added } = this;
    const spelled = { text, tokens, added, ...spellingOf(this.tokenizer) };
    // Pieces of the text are normalized again, by the patterns of the file.
    const isAssistant = guarded(
      () => tokensWithin(spans, spelled),
      () => this.file,
    );
    if (isAssistant) return { ids, isAssistant };
    const what = `its tokens cannot be located in ${quote(text)}, so the assistant's tokens are unknown`;
    throw new InputError(this.file, what, 'Train without assistantOnlyLoss, or on prompts and completions');
  }

  private withTemplate<Made>(
    { addGenerationPrompt = false, chatTemplateKwargs, tools: given }: ChatTemplateOptions,
    render: (template: ChatTemplate, options: ChatOptions) => Made,
  ): Made {
    const { chat_template: named, tools: own, ...kwargs } = chatTemplateKwargs ?? {};
    const tools = own === undefined ? given : (own as ChatOptions['tools']);
    const options = { addGenerationPrompt, tools, chatTemplateKwargs: kwargs };
    return guarded(
      () => render(this.templateOf(named, tools !== undefined && tools !== null), options),
      () => this.name,
    );
  }

  /** The template that `named` names or contains; without it, the model's own. */
  private templateOf(named: unknown, hasTools: boolean): ChatTemplate {
    if (typeof named !== 'string') {
      templateFor(this.templates, hasTools, this.name);
      return this.compile(hasTools && this.templates.has('tool_use') ? 'tool_use' : 'default');
    }
    return this.templates.has(named)
      ? this.compile(named)
      : new this.Template(named, this.name, this.special);
  }

  /** On first use: plain text needs no template, so one that cannot be read is no reason to reject the model. */
  private compile(name: string): ChatTemplate {
    const known = this.compiled.get(name);
    if (known) return known;
    const { text, file } = this.templates.get(name)!;
    const template = new this.Template(text, file, this.special);
    this.compiled.set(name, template);
    return template;
  }

  /** Runs a call of the library; some defects of a file only show when it is used. */
  private served<T>(work: () => T, failure: string): T {
    const told = () => {
      try {
        return work();
      } catch (cause) {
        const what = `${failure}: ${reason(cause)}`;
        throw new InputError(this.file, what, 'Use the tokenizer that belongs to the model', { cause });
      }
    };
    return guarded(told, () => this.file);
  }
}

/**
 * Throws {@link InputError} if a token of the text exceeds the `vocabSize` embeddings of the model. A tokenizer may have
 * such tokens as long as no text uses them: Gemma 3's has one for images that its small models never see.
 */
export function requireEmbedded(
  tokenizer: Tokenizer,
  ids: readonly number[],
  vocabSize: number,
  where: string,
): void {
  const beyond = ids.find((id) => id >= vocabSize);
  if (beyond === undefined) return;
  const what = `contains ${quote(tokenizer.token(beyond))}, which is token ${beyond}, but the model only has embeddings for ${vocabSize} tokens`;
  throw new InputError(where, what, 'Leave it out, or use the tokenizer that belongs to the model');
}

/** Throws {@link InputError} for an invalid token id of a model with `vocabSize` embeddings. */
export function requireTokenIds(ids: Iterable<unknown>, vocabSize: number, where: string): void {
  for (const id of ids) {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    const wayOut = `Ids are whole numbers from 0 to ${vocabSize - 1}`;
    throw new InputError(where, `${quote(id)} is not a token id`, wayOut);
  }
}

/** The library allocates a list as long as the highest id, so the id must be plausible for a vocabulary. */
function refuseOddIds({ model, added_tokens: added }: JsonObject, file: string): void {
  const vocabulary = isObject(model) && isObject(model.vocab) ? Object.values(model.vocab) : [];
  const own = Array.isArray(added) ? added.map((token) => (isObject(token) ? token.id : token)) : [];
  for (const id of [...vocabulary, ...own]) {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MOST_IDS) continue;
    const wayOut = `Ids are whole numbers below ${MOST_IDS}: fetch the file again`;
    throw new InputError(file, `gives a token the id ${quote(id)}`, wayOut);
  }
}

/** Whether decoding removes spaces before punctuation. Not for BPE, because that would lose existing spaces. */
function cleansUp({ model }: JsonObject, config: JsonObject): boolean {
  const isBpe = isObject(model) && (model.type === 'BPE' || (model.type === undefined && 'merges' in model));
  const isForced = config.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output === true;
  return config.clean_up_tokenization_spaces === true && (!isBpe || isForced);
}
