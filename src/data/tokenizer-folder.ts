/**
 * The files of a model's folder that concern its tokenizer besides `tokenizer.json`: special tokens and chat templates. If
 * several files define the same value, the precedence is that of transformers (`PreTrainedTokenizerBase._from_pretrained`,
 * 5.24).
 */
import { InputError, listed, MissingFileError, quote } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { isObject, type Json, type JsonObject, parseJsonObject, parsePythonObject } from '../io/json.ts';
import { TEMPLATE_FOLDER } from '../io/weights.ts';

export const TOKENIZER = 'tokenizer.json';
export const TOKENIZER_CONFIG = 'tokenizer_config.json';
const SPECIAL_MAP = 'special_tokens_map.json';
const ADDED = 'added_tokens.json';
const TEMPLATE = 'chat_template.jinja';
/** What transformers converts when it loads a tokenizer; only the result is read here. */
const UNCONVERTED = ['vocab.json', 'tokenizer.model', 'sentencepiece.bpe.model', 'vocab.txt', 'tekken.json'];
/** Template names that are tried if a folder cannot be listed, besides the default that transformers writes. */
const USUAL_TEMPLATES = ['tool_use.jinja', 'rag.jinja'];

/** The special tokens that any tokenizer may have. */
const NAMED = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];

/** More than any tokenizer has. */
const MOST_TOKENS = 2 ** 14;

/** A chat template and its file. */
export interface TemplateSource {
  text: string;
  file: string;
}

export interface TokenizerFolder {
  json: JsonObject;
  config: JsonObject;
  /** Texts by name (`bos_token`, and model-specific names), as passed to a chat template. */
  special: Record<string, string>;
  /** Tokens to add to those of `tokenizer.json`, in this order. */
  added: JsonObject[];
  /** By name; a single template is called `default`. */
  templates: Map<string, TemplateSource>;
}

/** Reads the folder. Throws {@link InputError} with the invalid file. */
export async function readTokenizerFolder(files: Files): Promise<TokenizerFolder> {
  const named = (path: string) => `${files.name}/${path}`;
  const optional = async (path: string): Promise<JsonObject> =>
    (await files.exists(path)) ? parsePythonObject(await files.readText(path), named(path)) : {};
  const text = await files.readText(TOKENIZER).catch(async (error) => {
    // After any other failure, a server would be asked in vain.
    throw (error instanceof MissingFileError ? await unconverted(files) : undefined) ?? error;
  });
  const json = parseJsonObject(text, named(TOKENIZER));
  const config = await optional(TOKENIZER_CONFIG);
  const decoder = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : undefined;
  // The older files are used if the configuration does not list the added tokens.
  const map = decoder ? {} : await optional(SPECIAL_MAP);
  const special = namedTokens({ ...config, ...map });
  const unnamed = unnamedTokens(config);
  const more = [...special, ...(unnamed.length > 0 ? unnamed : unnamedTokens(map))];
  const listed = decoder ? decoderTokens(decoder, named(TOKENIZER_CONFIG)) : oldTokens(await optional(ADDED));
  if (listed.length + more.length > MOST_TOKENS) {
    const what = `adds ${listed.length + more.length} tokens; at most ${MOST_TOKENS} are supported`;
    throw new InputError(named(TOKENIZER_CONFIG), what, 'Fetch the file again');
  }
  const contents = new Set(special.map(({ content }) => content));
  const marked = listed.map((token) => ({
    ...token,
    special: token.special === true || contents.has(token.content),
  }));
  return {
    json,
    config,
    special: Object.fromEntries(special.map(({ name, content }) => [name, content])),
    added: decoder
      ? [...marked, ...newTokens(more, json, marked)]
      : newTokens([...marked, ...more], json, []),
    templates: await templatesOf(files, config.chat_template),
  };
}

/** The error for a folder with files from which `tokenizer.json` can be made; undefined for any other folder. */
async function unconverted(files: Files): Promise<InputError | undefined> {
  for (const path of UNCONVERTED) {
    if (!(await files.exists(path))) continue;
    const what = `the tokenizer is in ${path}, but only ${TOKENIZER} is read`;
    return new InputError(
      `${files.name}/${TOKENIZER}`,
      what,
      'Load it with AutoTokenizer of transformers and save it again, which writes this file',
    );
  }
  return undefined;
}

type Token = JsonObject & { content: string };

/** The `…_token` entries, including model-specific ones: plain text, or the `content` of an object. */
function namedTokens(settings: JsonObject): (Token & { name: string })[] {
  const { extra_special_tokens: extra, model_specific_special_tokens: specific } = settings;
  const entries = Object.entries(settings).filter(([name]) => name.endsWith('_token'));
  const hasOwn = isObject(extra) || entries.some(([name]) => !NAMED.includes(name));
  const others = hasOwn ? extra : specific;
  const own = isObject(others) ? Object.entries(others) : [];
  entries.sort(([a], [b]) => Number(!NAMED.includes(a)) - Number(!NAMED.includes(b)));
  return [...entries, ...own].flatMap(([name, value]) =>
    specialToken(value).map((token) => ({ ...token, name })),
  );
}

/** Special tokens without a name. */
function unnamedTokens({
  extra_special_tokens: extra,
  additional_special_tokens: additional,
}: JsonObject): Token[] {
  const isGiven = isObject(extra) || (Array.isArray(extra) && extra.length > 0);
  const tokens = isGiven ? extra : additional;
  return Array.isArray(tokens) ? tokens.flatMap(specialToken) : [];
}

function specialToken(value: Json): Token[] {
  const token = isObject(value) ? value : { content: value };
  const { content } = token;
  return typeof content === 'string' ? [{ ...token, content, special: true }] : [];
}

function decoderTokens(decoder: JsonObject, file: string): Token[] {
  const entries = Object.entries(decoder).sort(([a], [b]) => Number(a) - Number(b));
  return entries.map(([, token]) => {
    if (isObject(token) && typeof token.content === 'string') return { ...token, content: token.content };
    throw new InputError(file, `adds the token ${quote(token)}`, 'Fetch the file again');
  });
}

function oldTokens(ids: JsonObject): Token[] {
  const entries = Object.entries(ids).sort(([, a], [, b]) => Number(a) - Number(b));
  return entries.map(([content]) => ({ content }));
}

/** The tokens that neither `tokenizer.json` nor `first` has. */
function newTokens(tokens: readonly Token[], json: JsonObject, first: readonly Token[]): Token[] {
  const inFile = Array.isArray(json.added_tokens) ? json.added_tokens.filter(isObject) : [];
  const known = new Set([...inFile, ...first].map(({ content }) => content));
  return tokens.filter(({ content }) => !known.has(content) && known.add(content));
}

/** Templates in separate files; otherwise those of the configuration. */
async function templatesOf(files: Files, configured: Json | undefined): Promise<Map<string, TemplateSource>> {
  const templates = new Map<string, TemplateSource>();
  const add = async (name: string, path: string) =>
    templates.set(name, { text: await files.readText(path), file: `${files.name}/${path}` });
  if (await files.exists(TEMPLATE)) await add('default', TEMPLATE);
  const names = await templateNames(files, templates.size > 0);
  for (const name of names) await add(name.replace(/\.jinja$/, ''), `${TEMPLATE_FOLDER}/${name}`);
  if (templates.size > 0) return templates;
  const file = `${files.name}/${TOKENIZER_CONFIG}`;
  return new Map(configuredTemplates(configured, file).map(([name, text]) => [name, { text, file }]));
}

async function templateNames(files: Files, hasDefault: boolean): Promise<string[]> {
  const found = await files.list?.(TEMPLATE_FOLDER);
  if (found) return found.filter((name) => name.endsWith('.jinja')).sort();
  // For folders at a URL, each name costs requests.
  if (!hasDefault) return [];
  const there = USUAL_TEMPLATES.map(async (name) =>
    (await files.exists(`${TEMPLATE_FOLDER}/${name}`)) ? [name] : [],
  );
  return (await Promise.all(there)).flat();
}

/** A text, a list of named ones, or an object of them. */
function configuredTemplates(value: Json | undefined, file: string): [string, string][] {
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return [['default', value]];
  const entries = Array.isArray(value)
    ? value.map((each) => (isObject(each) ? [each.name, each.template] : [undefined, undefined]))
    : Object.entries(value);
  return entries.map(([name, template]) => {
    if (typeof name === 'string' && typeof template === 'string') return [name, template];
    const what = `"chat_template" contains ${quote(value)}, not a text or texts by name`;
    throw new InputError(file, what, 'Repair or remove it');
  });
}

/**
 * The template for conversations with or without tools. Throws {@link InputError} with the available names if there is no
 * default.
 */
export function templateFor(
  templates: ReadonlyMap<string, TemplateSource>,
  hasTools: boolean,
  folder: string,
): TemplateSource {
  const chosen = (hasTools ? templates.get('tool_use') : undefined) ?? templates.get('default');
  if (chosen !== undefined) return chosen;
  const [first] = templates.values();
  if (first) {
    const what = `there are several templates, but none is the default: ${listed([...templates.keys()].sort())}`;
    throw new InputError(
      first.file,
      what,
      `Name one of them in a row's chat_template_kwargs, or copy it to ${TEMPLATE}`,
    );
  }
  const wayOut = `Use plain text, or put a ${TEMPLATE} into the model's folder`;
  throw new InputError(folder, 'this model has no chat template, so it cannot read messages', wayOut);
}
