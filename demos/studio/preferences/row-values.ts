/** Cells of a file's row to parts of a judgment. What a judgment cannot hold is an {@link InputError} that names the row. */

import { InputError } from 'webalign';
import type { Message } from 'webalign/data';
import { type RowValue, textOrMessages } from 'webalign/data';
import { isObject, kindOf, listed, quote } from 'webalign/files';
import { own } from '../../../src/base/lookup.ts';
import { PLACES } from './file-columns.ts';
import type { ChatTurn, Draft, Edit, Prompt, Source } from './judgment.ts';

/** A cell of text; empty where it is missing. CSV does not tell the two apart. */
export function textAt(row: RowValue, column: string, where: string): string {
  const value = own(row, column) ?? '';
  if (typeof value === 'string') return value;
  throw new InputError(where, `"${column}" is ${kindOf(value)}`, 'Give text');
}

/** A cell of true or false, `missing` where there is none. */
export function flagAt(row: RowValue, column: string, missing: boolean, where: string): boolean {
  const value = own(row, column) ?? '';
  if (typeof value === 'boolean') return value;
  const named = { true: true, false: false, '': missing };
  const flag = typeof value === 'string' ? own(named, value.toLowerCase()) : undefined;
  if (flag !== undefined) return flag;
  throw new InputError(where, `"${column}" is ${quote(value)}`, 'Give true or false');
}

/** 0 for `first`, 1 for `second`. */
export function placeAt(row: RowValue, column: string, where: string): 0 | 1 {
  const place = PLACES.indexOf(textAt(row, column, where));
  if (place === 0 || place === 1) return place;
  throw new InputError(
    where,
    `"${column}" is ${quote(own(row, column))}`,
    `Give ${listed(PLACES, 2, ' or ')}`,
  );
}

/** The draft whose text is given; its end and its writer stand in columns that begin with `name`. */
export function draftOf(text: string, row: RowValue, name: string, where: string): Draft {
  const model = textAt(row, `${name}_model`, where);
  const adapter = textAt(row, `${name}_adapter`, where);
  const source: Source = { model, ...(adapter !== '' && { adapter }) };
  return {
    text,
    ended: flagAt(row, `${name}_ended`, true, where),
    ...((model !== '' || adapter !== '') && { source }),
  };
}

/** A text of a person in place of the draft that stood there. */
export const editOf = ({ text, ended }: Draft, draft: 0 | 1): Edit => ({ draft, text, ended });

/** A prompt: text, or turns that have a role and text and nothing else. */
export function promptOf(value: unknown, column: string, where: string): Prompt {
  const prompt = textOrMessages(value, column, where);
  if (typeof prompt === 'string') return prompt;
  if (prompt.length > 0) return prompt.map((message) => turnOf(message, column, where));
  throw new InputError(
    where,
    `no turn of "${column}" comes before the completion`,
    'Begin with a turn of "user"',
  );
}

/** The text of a completion, which in a chat is one turn of the assistant. */
export function completionText(value: string | readonly Message[], column: string, where: string): string {
  if (typeof value === 'string') return value;
  const [message, ...more] = value;
  if (message?.role === 'assistant' && more.length === 0) return turnOf(message, column, where).content;
  const roles = listed(value.map(({ role }) => role));
  const what = `"${column}" has turns of: ${roles}`;
  throw new InputError(
    where,
    what,
    'The studio judges one turn of the assistant: put the others into "prompt"',
  );
}

function turnOf({ role, content, ...extra }: Message, column: string, where: string): ChatTurn {
  const more = Object.keys(extra).filter((name) => (own(extra, name) ?? null) !== null);
  if (more.length > 0) {
    const what = `a turn of "${column}" has ${listed(more.map((name) => quote(name)))} beside its role and its content`;
    throw new InputError(where, what, 'The studio shows text alone: leave it out of the row');
  }
  return { role, content: plainText(content, column, where) };
}

function plainText(content: unknown, column: string, where: string): string {
  if (typeof content === 'string') return content;
  // Parts of text, which `side` has looked at.
  if (Array.isArray(content))
    return content.map((part) => (isObject(part) ? String(part.text) : '')).join('');
  throw new InputError(where, `a turn of "${column}" has ${kindOf(content)} as its "content"`, 'Give text');
}
