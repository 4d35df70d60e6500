/**
 * `webalign generate --chat`: messages typed by the user, one per line of stdin, or conversations from a file; answers
 * are printed while they are generated.
 */
import type { Message } from '../data/chat-template.ts';
import { textOrMessages } from '../data/messages.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError, quote } from '../io/errors.ts';
import { parseExactJson } from '../io/exact-json.ts';
import { isObject } from '../io/json.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Chat, type ChatOptions } from '../model/chat.ts';
import type { Generation } from '../model/generation.ts';
import { readText } from './open.ts';
import type { Settings } from './options.ts';
import type { Terminal } from './terminal.ts';

export interface Talk {
  model: CausalLM;
  tokenizer: Tokenizer;
  /** Conversations to answer; undefined if messages come from stdin. */
  conversations: readonly Message[][] | undefined;
  asked: Omit<ChatOptions, 'onNotice' | 'signal'>;
}

interface Answer extends Generation {
  text: string;
}

/** `--json` output for conversations. */
export interface Told {
  conversations: { messages: readonly Message[]; answers: readonly Answer[] }[];
  tokensPerSecond: number;
}

/** The line that starts a new conversation. */
const RESET = '/reset';

/** Answers every message. Throws {@link InputError} for a message that the model cannot read. */
export async function converse(talk: Talk, terminal: Terminal, signal: AbortSignal): Promise<Told> {
  const { model, tokenizer, asked } = talk;
  const chat = new Chat(model, tokenizer, { ...asked, onNotice: (line) => terminal.info(line) });
  const told: Told['conversations'] = [];
  let [tokens, seconds] = [0, 0];
  let answers: Answer[] = [];
  const keep = () => {
    if (answers.length > 0) told.push({ messages: [...chat.messages], answers });
    answers = [];
  };
  const say = async (answer: AsyncGenerator<string, Generation>, stopped?: AbortSignal) => {
    const started = performance.now();
    const said = await written(answer, terminal, stopped);
    seconds += (performance.now() - started) / 1000;
    if (!said) return;
    tokens += said.ids.length;
    answers.push(said);
    if (terminal.isTyped && said.finished === 'length')
      terminal.info(`(truncated after ${asked.maxNewTokens} tokens: --max-tokens)`);
  };
  if (talk.conversations) {
    for (const messages of talk.conversations) {
      signal.throwIfAborted();
      await say(chat.reply(messages), signal);
      keep();
    }
  } else {
    let stop: AbortController | undefined;
    const interrupt = () => {
      stop?.abort();
      return stop !== undefined;
    };
    if (terminal.isTyped)
      terminal.info(`${RESET} starts a new conversation, Ctrl-C stops an answer, Ctrl-D quits.`);
    for await (const line of terminal.lines(signal, interrupt)) {
      const message = line.trim();
      if (message === RESET) {
        keep();
        chat.reset();
        terminal.info('A new conversation.');
      } else if (message !== '') {
        stop = new AbortController();
        await said(() => say(chat.send(message), AbortSignal.any([signal, stop!.signal])));
        stop = undefined;
      }
    }
    keep();
  }
  signal.throwIfAborted();
  return { conversations: told, tokensPerSecond: seconds > 0 ? tokens / seconds : 0 };

  /** A message that is too long stops a batch of messages; a person can shorten it. */
  async function said(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!terminal.isTyped || !(error instanceof InputError)) throw error;
      terminal.info(error.message);
    }
  }
}

/** Prints an answer while it is generated; undefined if it was stopped. */
async function written(
  answer: AsyncGenerator<string, Generation>,
  terminal: Terminal,
  stopped: AbortSignal | undefined,
): Promise<Answer | undefined> {
  let text = '';
  for (;;) {
    const { done, value } = await answer.next();
    if (done) {
      terminal.write('\n');
      return { text, ...value };
    }
    text += value;
    terminal.write(value);
    if (!stopped?.aborted) continue;
    await answer.return(undefined!);
    terminal.write('\n');
    return undefined;
  }
}

/** The conversations of the file `--messages`. Throws {@link InputError} for conversations that cannot be answered. */
export async function readConversations({ messages: path = '', system }: Settings): Promise<Message[][]> {
  return conversationsOf(await readText(path), path).map(({ messages, where }) => {
    if (system === undefined || messages[0]?.role !== 'system') return messages;
    throw new InputError(where, 'already has a system message', 'Leave out --system');
  });
}

/** One list of messages, or one {"messages": [...]}; or several of these, one per line or in a list. */
function conversationsOf(text: string, file: string): { messages: Message[]; where: string }[] {
  const whole = jsonOf(text, file);
  const rows = isConversation(whole)
    ? [{ value: whole, where: file }]
    : Array.isArray(whole)
      ? whole.map((value, i) => ({ value, where: `${file}, row ${i + 1}` }))
      : linesOf(text, file);
  if (rows.length === 0) throw new InputError(file, 'contains no conversations', 'Give {"messages": [...]}');
  return rows.map(({ value, where }) => {
    const given: unknown = isObject(value) ? value.messages : value;
    const messages = textOrMessages(given ?? null, 'messages', where);
    const last = typeof messages === 'string' ? undefined : messages.at(-1);
    if (typeof messages === 'string' || last?.role === 'assistant' || last === undefined) {
      const what =
        typeof messages === 'string' ? 'has text as its "messages"' : `ends with ${quote(last?.role)}`;
      throw new InputError(where, what, 'Provide a list of messages that ends with one of role "user"');
    }
    return { messages, where };
  });
}

/** Whether this is one conversation rather than a list of several. */
const isConversation = (value: unknown) =>
  (isObject(value) && 'messages' in value) ||
  (Array.isArray(value) && isObject(value[0]) && typeof value[0].role === 'string');

/** The text as one JSON value; undefined if it is several values, one per line. */
function jsonOf(text: string, file: string): unknown {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.length > 1 && lines.every((line) => /^\s*[[{].*[\]}]\s*$/.test(line))
    ? undefined
    : parseExactJson(text, file);
}

function linesOf(text: string, file: string): { value: unknown; where: string }[] {
  return text.split('\n').flatMap((line, i) => {
    const where = `${file}, line ${i + 1}`;
    return line.trim() === '' ? [] : [{ value: parseExactJson(line, where) as unknown, where }];
  });
}
