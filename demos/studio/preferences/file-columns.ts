/**
 * What an exported file holds, as data: for each form its columns, TRL's first and ours behind them, and the rows of judgments. With
 * our columns a file gives the same judgments back; others pass them over.
 */
import type { Draft, Judgment, Source } from './judgment.ts';
import { type Completion, completionOf, labelledOf, type Pair, pairsOf } from './rows.ts';

/** `all` holds every judgment and is ours alone; the others are TRL's. */
export type Form = 'dpo' | 'kto' | 'sft' | 'all';

/** Text, true or false, or text that is turns in a chat's file. */
export type ColumnType = 'text' | 'flag' | 'side';

export type Columns = Readonly<Record<string, ColumnType>>;
/** A missing cell is undefined. */
export type Cells = Record<string, Completion | boolean | undefined>;

interface FormOf {
  /** For people. */
  words: string;
  /** Whether chats and texts need a file each, as columns have one type. */
  isByKind: boolean;
  columns(isChat: boolean): Columns;
  rows(judgments: readonly Judgment[]): Cells[];
}

/** Behind everything else; an id has no character that a format could touch, so it is last in a line. */
const ABOUT = {
  note: 'text',
  tags: 'text',
  origin: 'text',
  time: 'text',
  verdict: 'text',
  id: 'text',
} as const;
const EDITED = {
  edited_draft: 'text',
  edited_from: 'text',
  edited_from_ended: 'flag',
  edited_from_model: 'text',
  edited_from_adapter: 'text',
} as const;

export const FORMS: Readonly<Record<Form, FormOf>> = {
  all: {
    words: 'Everything',
    isByKind: false,
    columns: () => ({
      kind: 'text',
      prompt: 'text',
      first: 'text',
      ...written('first'),
      second: 'text',
      ...written('second'),
      edited_draft: 'text',
      edit: 'text',
      edit_ended: 'flag',
      ...ABOUT,
    }),
    rows: (judgments) => judgments.map(everything),
  },
  dpo: {
    words: 'DPO pairs',
    isByKind: true,
    columns: () => ({
      prompt: 'side',
      chosen: 'side',
      rejected: 'side',
      ...written('chosen'),
      ...written('rejected'),
      ...EDITED,
      ...ABOUT,
    }),
    rows: (judgments) => pairsOf(judgments).map(pairCells),
  },
  kto: {
    words: 'KTO labels',
    isByKind: true,
    columns: () => ({
      prompt: 'side',
      completion: 'side',
      label: 'flag',
      draft: 'text',
      ...written('completion'),
      ...EDITED,
      ...ABOUT,
    }),
    rows: (judgments) =>
      labelledOf(judgments).map(({ judgment, draft, label }) => ({
        prompt: promptOf(judgment),
        completion: completionOf(judgment.prompt, draft),
        label,
        draft: PLACES[judgment.drafts.indexOf(draft)] ?? 'edit',
        ...draftCells('completion', draft),
        ...editedCells(judgment),
        ...about(judgment),
      })),
  },
  sft: {
    words: 'Good texts',
    isByKind: true,
    columns: (isChat) => ({
      ...(isChat ? { messages: 'side' } : { prompt: 'side', completion: 'side' }),
      note: 'text',
      tags: 'text',
    }),
    rows: (judgments) =>
      labelledOf(judgments)
        .filter(({ label }) => label)
        .map(({ judgment, draft }) => ({ ...goodText(judgment, draft), ...remarks(judgment) })),
  },
};

/** Names of places, in the order shown. */
export const PLACES: readonly string[] = ['first', 'second'];

function everything(judgment: Judgment): Cells {
  const { prompt, drafts, edit } = judgment;
  const isChat = typeof prompt !== 'string';
  const [first, second] = drafts;
  return {
    kind: isChat ? 'chat' : 'text',
    prompt: isChat ? JSON.stringify(prompt) : prompt,
    first: first?.text,
    second: second?.text,
    ...(first && draftCells('first', first)),
    ...(second && draftCells('second', second)),
    ...(edit && { edited_draft: PLACES[edit.draft], edit: edit.text, edit_ended: edit.ended }),
    ...about(judgment),
  };
}

function pairCells({ judgment, chosen, rejected }: Pair): Cells {
  return {
    prompt: promptOf(judgment),
    chosen: completionOf(judgment.prompt, chosen),
    rejected: completionOf(judgment.prompt, rejected),
    ...draftCells('chosen', chosen),
    ...draftCells('rejected', rejected),
    ...editedCells(judgment),
    ...about(judgment),
  };
}

/** The draft that a person has edited, which is in no other column. */
function editedCells({ edit, drafts }: Judgment): Cells {
  const from = edit && drafts[edit.draft];
  if (!from) return {};
  return {
    edited_draft: PLACES[edit.draft],
    edited_from: from.text,
    ...draftCells('edited_from', from),
  };
}

function goodText({ prompt }: Judgment, draft: Draft): Cells {
  const completion = completionOf(prompt, draft);
  if (typeof prompt === 'string' || typeof completion === 'string')
    return { prompt: prompt as string, completion };
  return { messages: [...prompt, ...completion] };
}

function written(side: string): Columns {
  return { [`${side}_ended`]: 'flag', [`${side}_model`]: 'text', [`${side}_adapter`]: 'text' };
}

function draftCells(side: string, { ended, source }: { ended: boolean; source?: Source | undefined }): Cells {
  return {
    [`${side}_ended`]: ended,
    [`${side}_model`]: source?.model,
    [`${side}_adapter`]: source?.adapter,
  };
}

const promptOf = ({ prompt }: Judgment): Completion => (typeof prompt === 'string' ? prompt : [...prompt]);
const remarks = ({ note, tags }: Judgment): Cells => ({ note, tags: tags?.join(', ') });

function about(judgment: Judgment): Cells {
  const { origin, time, verdict, id } = judgment;
  return { ...remarks(judgment), origin, time: new Date(time).toISOString(), verdict, id };
}
