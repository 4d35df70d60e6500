/**
 * A file of judgments or prompts, read by the library's readers: JSON Lines, JSON, CSV, TSV and Parquet; prompts also from text, one a
 * line. A row that cannot be used is named, and the others are used.
 */

import { type DataForm, readDataset } from 'webalign/data';
import { blobSource, InputError, listed, parseExactJson, quote } from 'webalign/files';
import { counted } from '../../../src/base/counted.ts';
import { type Judgment, meaningOf, type Prompt } from './judgment.ts';
import { contentId, merge } from './merging.ts';
import { type Found, JUDGMENTS, type Part, type Read } from './row-judgments.ts';
import { promptOf } from './row-values.ts';

export interface ReadJudgments {
  judgments: Judgment[];
  /** What could not be read, or not as it stands, a sentence each. */
  problems: string[];
}

/** Bytes of a file that a page reads as a whole. */
const MOST_BYTES = 256 * 2 ** 20;
/** Rows that are named one by one. */
const NAMED = 20;

/** The judgments of a file; rejects with an {@link InputError} where no row can be read. `now` is given to rows without a time. */
export async function readJudgments(file: File, now = Date.now()): Promise<ReadJudgments> {
  const found = await read(file, JUDGMENTS);
  const parts = joinParts(found);
  const whole = [...found.flatMap(({ judgment }) => judgment ?? []), ...parts.judgments];
  const judgments = whole.map(
    (judgment, i): Judgment => ({
      ...judgment,
      id: judgment.id ?? contentId(judgment),
      time: judgment.time ?? now + i,
      origin: judgment.origin ?? file.name,
    }),
  );
  const { added, same, conflicts } = merge([], judgments);
  const unread = new Set(found.flatMap((each) => each.unread ?? []));
  const refused = found.flatMap(({ problem }) => problem ?? []);
  return {
    judgments: added,
    problems: [
      ...refused.slice(0, NAMED),
      ...more(refused.length - NAMED),
      ...parts.problems,
      ...(unread.size > 0 ? [`${file.name}: columns that are not read: ${listed([...unread])}.`] : []),
      ...(same > 0
        ? [
            `${file.name}: ${counted(same, 'row repeats another and counts', 'rows repeat others and count')} once.`,
          ]
        : []),
      ...(conflicts > 0
        ? [
            `${file.name}: ${counted(conflicts, 'row has', 'rows have')} the id of another and other content; both are kept.`,
          ]
        : []),
    ],
  };
}

/** The prompts of a file, each once. */
export async function readPromptFile(file: File): Promise<{ prompts: Prompt[]; problems: string[] }> {
  const found = file.name.toLowerCase().endsWith('.txt') ? await lines(file) : await read(file, PROMPT_ROWS);
  const refused = found.flatMap(({ problem }) => problem ?? []);
  const unique = new Map(found.flatMap(({ prompt }) => (prompt ? [[JSON.stringify(prompt), prompt]] : [])));
  const twice = found.length - refused.length - unique.size;
  return {
    prompts: [...unique.values()],
    problems: [
      ...refused.slice(0, NAMED),
      ...more(refused.length - NAMED),
      ...(twice > 0
        ? [
            `${file.name}: ${counted(twice, 'prompt repeats another and counts', 'prompts repeat others and count')} once.`,
          ]
        : []),
    ],
  };
}

async function read<Row>(file: File, form: DataForm<Row>): Promise<Row[]> {
  if (file.size > MOST_BYTES) {
    const what = `has ${counted(file.size, 'byte')}, and a page reads files of up to ${MOST_BYTES} bytes`;
    throw new InputError(file.name, what, 'Split it');
  }
  return readDataset(blobSource(file, file.name), form);
}

const more = (count: number): string[] =>
  count > 0 ? [`${counted(count, 'more row')} could not be read, for reasons like these.`] : [];

/** Both rows of a judgment to one; a row whose other half is missing or says something else is a thumb. */
function joinParts(found: readonly Found[]): { judgments: Read[]; problems: string[] } {
  const groups = new Map<string, { where: string; part: Part }[]>();
  for (const { where, part } of found) {
    if (!part) continue;
    const key = part.about.id ?? where;
    groups.set(key, [...(groups.get(key) ?? []), { where, part }]);
  }
  const joined = [...groups.values()].map((group) => {
    const judgment = group.length === 2 ? whole(group.map(({ part }) => part)) : undefined;
    if (judgment) return { judgments: [judgment], problems: [] };
    return {
      judgments: group.map(({ part }) => thumb(part)),
      problems: group.map(
        ({ where }) =>
          `${where}: the judgment's other draft is missing or labelled otherwise, so this one is kept as a thumb.`,
      ),
    };
  });
  return {
    judgments: joined.flatMap(({ judgments }) => judgments),
    problems: joined.flatMap(({ problems }) => problems),
  };
}

/** The judgment of two parts, undefined where its verdict would label them otherwise. */
function whole(parts: readonly Part[]): Read | undefined {
  const [first] = parts as [Part];
  const at = (place: string) => parts.find((part) => part.place === place)?.draft;
  const edit = at('edit');
  const { edited, verdict } = first;
  const drafts = ['first', 'second'].map((place, i) => (edited?.place === i ? edited.from : at(place)));
  if (drafts.some((draft) => draft === undefined)) return undefined;
  const judgment: Read = {
    prompt: first.prompt,
    drafts: drafts.filter((draft) => draft !== undefined),
    verdict,
    ...first.about,
    ...(edited && edit && { edit: { draft: edited.place, text: edit.text, ended: edit.ended } }),
  };
  const meaning = meaningOf(judgment as Judgment);
  const good = meaning.good(judgment as Judgment).map(({ text }) => text);
  const bad = meaning.bad(judgment as Judgment).map(({ text }) => text);
  const agree = parts.every(({ draft, label }) => (label ? good : bad).includes(draft.text));
  return agree && good.length + bad.length === 2 ? judgment : undefined;
}

/** Under an id of its own: the judgment that it was part of may be there. */
function thumb({ about, prompt, draft, label }: Part): Read {
  const { id: _, ...rest } = about;
  return { ...rest, prompt, drafts: [draft], verdict: label ? 'up' : 'down' };
}

interface FoundPrompt {
  prompt?: Prompt;
  problem?: string;
}

const PROMPT_ROWS: DataForm<FoundPrompt> = {
  columns: ['prompt'],
  needed: [['prompt']],
  wayOut: 'Give it a column "prompt", text or messages',
  toRows(row, where) {
    try {
      return [{ prompt: checked(promptOf(messagesIn(row.prompt, where), 'prompt', where), where) }];
    } catch (error) {
      if (error instanceof InputError) return [{ problem: error.message }];
      throw error;
    }
  },
};

/** CSV has messages as JSON. */
function messagesIn(value: unknown, where: string): unknown {
  return typeof value === 'string' && /^\s*\[\s*\{\s*"role"/.test(value)
    ? parseExactJson(value, where)
    : value;
}

function checked(prompt: Prompt, where: string): Prompt {
  if (typeof prompt === 'string') {
    if (prompt.trim() !== '') return prompt;
    throw new InputError(where, 'the prompt is empty', 'Write one, or remove the row');
  }
  const last = prompt.at(-1)?.role;
  if (last === 'user') return prompt;
  const what = `the prompt ends with a turn of ${quote(last ?? 'nobody')}`;
  throw new InputError(where, what, 'End it with a turn of "user"');
}

async function lines(file: File): Promise<FoundPrompt[]> {
  const text = (await file.text()).replace(/^\uFEFF/, '');
  const prompts = text.split(/\r\n|\n|\r/).filter((line) => line.trim() !== '');
  if (prompts.length > 0) return prompts.map((prompt) => ({ prompt }));
  throw new InputError(file.name, 'holds no prompts', 'Write one on each line');
}
