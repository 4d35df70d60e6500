/**
 * Validates a column of text or messages by TRL's rules (`is_conversational` of `trl/data_utils.py`, 1.16): a turn needs a
 * role; its other fields are passed to the chat template.
 */
import { InputError, quote } from '../io/errors.ts';
import { exactJson } from '../io/exact-json.ts';
import { isObject, kindOf } from '../io/json.ts';
import type { Message } from './chat-template.ts';

const EXPECTED = 'Give text, or a list of {"role", "content"} messages';
/** Fields of a message that have no text of their own. */
const LABELS = ['role', 'name', 'content'];

/** Half of a character that UTF-16 writes as two. Tokens and files of UTF-8 have none. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The value of a column: text, or a list of messages. */
export function textOrMessages(value: unknown, column: string, where: string): string | Message[] {
  if (typeof value === 'string') {
    requireCharacters(value, `"${column}"`, where);
    return value;
  }
  if (!Array.isArray(value))
    throw new InputError(where, `"${column}" must be text or messages, got ${kindOf(value)}`, EXPECTED);
  value.forEach((message: unknown, index) => {
    const place = `message ${index + 1} of "${column}"`;
    if (!isObject(message)) throw new InputError(where, `${place} is ${kindOf(message)}`, EXPECTED);
    if (typeof message.role !== 'string') {
      throw new InputError(where, `${place} has ${kindOf(message.role)} as its "role"`, EXPECTED);
    }
    checkContent(message, place, where);
  });
  return value as Message[];
}

/** Accepts text, parts that are text, or nothing if the message has other content. */
function checkContent(message: Readonly<Record<string, unknown>>, place: string, where: string): void {
  const { content } = message;
  if (typeof content === 'string') {
    requireCharacters(content, place, where);
    return;
  }
  if (Array.isArray(content)) {
    const odd = content.find((part: unknown) => !(isObject(part) && typeof part.text === 'string'));
    if (odd === undefined) {
      for (const part of content as { text: string }[]) requireCharacters(part.text, place, where);
      return;
    }
    const kind =
      isObject(odd) && odd.type !== undefined
        ? `a part of type ${quote(odd.type)}`
        : `a part that is ${kindOf(odd)}`;
    throw new InputError(
      where,
      `${place} has ${kind}`,
      'Only text is supported: give parts {"type": "text", "text": …}',
    );
  }
  if ((content === null || content === undefined) && saysMore(message)) return;
  throw new InputError(where, `${place} has ${kindOf(content)} as its "content"`, EXPECTED);
}

function requireCharacters(text: string, place: string, where: string): void {
  const half = LONE_SURROGATE.exec(text)?.[0];
  if (half === undefined) return;
  const code = `\\u${half.charCodeAt(0).toString(16)}`;
  throw new InputError(
    where,
    `${place} holds ${code}, half of a character`,
    'Remove it, or write the whole character',
  );
}

/** Whether a message has content in other fields: tool calls, reasoning. */
function saysMore(message: object): boolean {
  return Object.entries(message).some(
    ([name, value]) => !LABELS.includes(name) && value !== null && value !== undefined && !isEmptyList(value),
  );
}

const isEmptyList = (value: unknown) => Array.isArray(value) && value.length === 0;

/** Whether a side has no content. */
export function isEmpty(value: string | readonly Message[]): boolean {
  if (typeof value === 'string') return value === '';
  return value.every((message) => {
    const { content } = message;
    const isSilent = content === '' || content === null || content === undefined || isEmptyList(content);
    return isSilent && !saysMore(message);
  });
}

/** A message as text, independent of the order of its keys. */
export function canonical(message: Message, where: string): string {
  try {
    return exactJson(message, { sorted: true });
  } catch (cause) {
    throw new InputError(where, 'a message is nested too deeply', 'Shorten or remove the row', { cause });
  }
}

/** Pairs of keys; a turn has both keys of one pair. */
export const TURNS = [
  ['role', 'content'],
  ['role', 'tool_calls'],
  ['from', 'value'],
] as const;

/** Whether the value appears to be a list of messages. */
export function looksLikeMessages(value: unknown): boolean {
  const isMessage = (each: unknown) =>
    isObject(each) && TURNS.some(([who, what]) => typeof each[who] === 'string' && Object.hasOwn(each, what));
  return Array.isArray(value) && value.length > 0 && value.every(isMessage);
}
