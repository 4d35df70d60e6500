/**
 * Rows of a file to judgments: a reader for each set of columns that a row may have. Rows with our columns become the judgments
 * they were; TRL's alone become picks, labels become thumbs. A row that cannot be one is told by its place.
 */

import { InputError } from 'webalign';
import {
  type DataForm,
  type LabelledRow,
  looksLikeMessages,
  type RowValue,
  setOf,
  textOrMessages,
  toLabelledRows,
  toPreferenceRow,
} from 'webalign/data';
import { listed, parseExactJson, quote } from 'webalign/files';
import { own } from '../../../src/base/lookup.ts';
import { type Draft, isVerdict, type Judgment, parseTags, VERDICTS, type Verdict } from './judgment.ts';
import { completionText, draftOf, editOf, placeAt, promptOf, textAt } from './row-values.ts';

/** What a row may miss of a judgment: rows without our columns have neither id nor time. */
export type Read = Omit<Judgment, 'id' | 'time'> & { id?: string; time?: number };

/** A labelled draft of a judgment that has two rows. */
export interface Part {
  about: Partial<Judgment>;
  prompt: Judgment['prompt'];
  verdict: Verdict;
  /** `first`, `second` or `edit`. */
  place: string;
  draft: Draft;
  label: boolean;
  /** Beside an edit: the draft that was edited, and where it stood. */
  edited?: { place: 0 | 1; from: Draft };
}

/** What a row came to. */
export interface Found {
  where: string;
  judgment?: Read;
  part?: Part;
  /** A sentence that names the row. */
  problem?: string;
  /** Columns that were passed over. */
  unread?: readonly string[];
}

type Reader = (row: RowValue, where: string) => Omit<Found, 'where'>;

const READERS: readonly { needed: readonly string[]; read: Reader }[] = [
  { needed: ['verdict', 'kind'], read: everything },
  { needed: ['chosen', 'rejected'], read: pair },
  { needed: ['prompt', 'completion', 'label'], read: labelled },
  { needed: ['messages'], read: conversation },
  { needed: ['prompt', 'completion'], read: text },
];

/** Judgments, as a form of data for the library's readers. */
export const JUDGMENTS: DataForm<Found> = {
  columns: 'all',
  needed: READERS.map(({ needed }) => needed),
  wayOut:
    'Give it "prompt", "chosen" and "rejected", or "prompt", "completion" and "label", or "messages", as TRL does',
  toRows(row, where) {
    try {
      const { known, unread } = isOurs(row) ? ours(row) : knownOf(row);
      const found = setOf(known, JUDGMENTS.needed);
      const reader = READERS.find(({ needed }) => needed === found);
      if (reader) return [{ where, ...reader.read(known, where), unread }];
      throw new InputError(
        where,
        `has only ${listed(Object.keys(row).map((name) => quote(name)))}`,
        JUDGMENTS.wayOut,
      );
    } catch (error) {
      if (error instanceof InputError) return [{ where, problem: error.message }];
      throw error;
    }
  },
};

/** Whether our columns stand beside TRL's. What others call `id` or `time` may be anything. */
const isOurs = (row: RowValue) =>
  typeof own(row, 'verdict') === 'string' && typeof own(row, 'time') === 'string';

/** An empty prompt is a missing cell in CSV. */
const ours = (row: RowValue) => ({ known: { prompt: '', ...row }, unread: [] });

/** The columns of TRL, and remarks where they are text. */
const KNOWN = ['prompt', 'chosen', 'rejected', 'completion', 'label', 'messages'];
const REMARKS = ['note', 'tags'];

/** What is read of a row that is not ours. */
function knownOf(row: RowValue): { known: RowValue; unread: string[] } {
  const isRead = ([name, value]: [string, unknown]) =>
    KNOWN.includes(name) || (REMARKS.includes(name) && typeof value === 'string');
  const entries = Object.entries(row).filter(([, value]) => (value ?? null) !== null);
  const unread = entries.filter((entry) => !isRead(entry)).map(([name]) => name);
  return { known: Object.fromEntries(entries.filter(isRead)), unread };
}

/** A row of the form `all`. */
function everything(row: RowValue, where: string): Omit<Found, 'where'> {
  const verdict = verdictAt(row, where);
  const prompt = textAt(row, 'prompt', where);
  const places = ['first', 'second'].slice(0, VERDICTS[verdict].drafts);
  const edit = draftOf(textAt(row, 'edit', where), row, 'edit', where);
  return {
    judgment: {
      prompt: textAt(row, 'kind', where) === 'chat' ? chatIn(prompt, where) : prompt,
      drafts: places.map((place) => draftOf(textAt(row, place, where), row, place, where)),
      verdict,
      ...(verdict === 'edit' && { edit: editOf(edit, placeAt(row, 'edited_draft', where)) }),
      ...aboutOf(row, where),
    },
  };
}

/** TRL's pair; where it is one of ours, the drafts take the places in which they were shown. */
function pair(row: RowValue, where: string): Omit<Found, 'where'> {
  const { prompt, ...sides } = toPreferenceRow(row, where);
  const [chosen, rejected] = (['chosen', 'rejected'] as const).map((column) =>
    draftOf(completionText(sides[column], column, where), row, column, where),
  ) as [Draft, Draft];
  const verdict = isOurs(row) ? verdictAt(row, where) : 'first';
  const read = { prompt: promptOf(prompt, 'prompt', where), verdict, ...aboutOf(row, where) };
  const order = ORDERS[verdict];
  if (order) return { judgment: { ...read, drafts: order(chosen, rejected) } };
  if (verdict !== 'edit') {
    throw new InputError(
      where,
      `"verdict" is "${verdict}" beside a pair`,
      'Give "first", "second" or "edit"',
    );
  }
  const from = draftOf(textAt(row, 'edited_from', where), row, 'edited_from', where);
  const place = placeAt(row, 'edited_draft', where);
  const drafts = place === 0 ? [from, rejected] : [rejected, from];
  return { judgment: { ...read, drafts, edit: editOf(chosen, place) } };
}

const ORDERS: Readonly<Partial<Record<Verdict, (chosen: Draft, rejected: Draft) => Draft[]>>> = {
  first: (chosen, rejected) => [chosen, rejected],
  second: (chosen, rejected) => [rejected, chosen],
};

/** TRL's labelled completion: a thumb, or a part of one of our judgments. */
function labelled(row: RowValue, where: string): Omit<Found, 'where'> {
  const [read] = toLabelledRows(row, where) as [LabelledRow];
  const { label } = read;
  const draft = draftOf(completionText(read.completion, 'completion', where), row, 'completion', where);
  const prompt = promptOf(read.prompt, 'prompt', where);
  const about = aboutOf(row, where);
  const verdict = isOurs(row) ? verdictAt(row, where) : undefined;
  if (verdict === undefined || VERDICTS[verdict].drafts === 1) {
    return { judgment: { prompt, drafts: [draft], verdict: label ? 'up' : 'down', ...about } };
  }
  const edited = verdict === 'edit' && {
    edited: {
      place: placeAt(row, 'edited_draft', where),
      from: draftOf(textAt(row, 'edited_from', where), row, 'edited_from', where),
    },
  };
  return { part: { about, prompt, verdict, place: textAt(row, 'draft', where), draft, label, ...edited } };
}

/** A conversation to learn from; its last turn is the assistant's. */
function conversation(row: RowValue, where: string): Omit<Found, 'where'> {
  const turns = textOrMessages(row.messages, 'messages', where);
  if (typeof turns === 'string') throw new InputError(where, '"messages" is text', 'Give a list of turns');
  const completion = completionText(turns.slice(-1), 'messages', where);
  const prompt = promptOf(turns.slice(0, -1), 'messages', where);
  const drafts = [draftOf(completion, row, 'completion', where)];
  return { judgment: { prompt, drafts, verdict: 'up', ...aboutOf(row, where) } };
}

function text(row: RowValue, where: string): Omit<Found, 'where'> {
  return labelled({ ...row, label: true }, where);
}

function verdictAt(row: RowValue, where: string): Verdict {
  const verdict = textAt(row, 'verdict', where);
  if (isVerdict(verdict)) return verdict;
  throw new InputError(
    where,
    `"verdict" is ${quote(verdict)}`,
    `Give one of: ${Object.keys(VERDICTS).join(', ')}`,
  );
}

function aboutOf(row: RowValue, where: string): Partial<Judgment> {
  const [note, tags, origin, id, written] = ['note', 'tags', 'origin', 'id', 'time'].map((column) =>
    textAt(row, column, where),
  ) as [string, string, string, string, string];
  const time = Date.parse(written);
  if (written !== '' && Number.isNaN(time)) {
    throw new InputError(
      where,
      `"time" is ${quote(written)}`,
      'Give it as 2026-01-31T12:00:00Z, or leave it out',
    );
  }
  const list = parseTags(tags);
  return {
    ...(note !== '' && { note }),
    ...(list.length > 0 && { tags: list }),
    ...(origin !== '' && { origin }),
    ...(id !== '' && { id }),
    ...(written !== '' && { time }),
  };
}

function chatIn(json: string, where: string): Judgment['prompt'] {
  const value = parseExactJson(json, `${where}, "prompt"`);
  if (looksLikeMessages(value)) return promptOf(value, 'prompt', where);
  throw new InputError(where, '"prompt" is not a list of turns', 'Give {"role", "content"} messages as JSON');
}
