/**
 * One judgment of a person: a prompt, the drafts as they were shown, and the verdict. What each verdict teaches is a row of
 * {@link VERDICTS}; nothing else asks which verdict it is.
 */
import { own } from '../../../src/base/lookup.ts';

/** A turn of a chat. */
export interface ChatTurn {
  role: string;
  content: string;
  // What the library's `Message` allows; the studio writes neither.
  [extra: string]: unknown;
}

/** Text to continue, or a chat that ends with the user's turn, its system prompt first. */
export type Prompt = string | readonly ChatTurn[];

/** Who wrote a draft, by names that a person reads. */
export interface Source {
  model: string;
  adapter?: string;
}

/** A completion as it was shown. */
export interface Draft {
  text: string;
  /** Whether the model drew its end token. False for a draft that was judged early, or cut off by the limit. */
  ended: boolean;
  source?: Source;
  /** Token ids as they were drawn, an end token included, where the draft was shown to its end. */
  tokens?: readonly number[];
}

/** What a person made of a draft. */
export interface Edit {
  /** Place of the draft that was edited. */
  draft: 0 | 1;
  text: string;
  ended: boolean;
}

export type Verdict = 'first' | 'second' | 'tie' | 'both-bad' | 'edit' | 'up' | 'down';

export interface Judgment {
  id: string;
  /** Milliseconds since 1970. */
  time: number;
  prompt: Prompt;
  /** In the order shown: left or upper first. One under a thumb, otherwise two. */
  drafts: readonly Draft[];
  verdict: Verdict;
  /** Beside the verdict `edit`, and only there. */
  edit?: Edit;
  note?: string;
  tags?: readonly string[];
  /** The file that it was imported from; absent for what was judged in this browser. */
  origin?: string;
}

/** What a verdict says of the drafts. */
interface Meaning {
  /** For people: `first is better`. */
  words: string;
  drafts: 1 | 2;
  /** Whether one of two is better, which makes a pair. */
  isPair: boolean;
  /** Place that was clicked, where places were compared. */
  place(judgment: Judgment): 0 | 1 | undefined;
  good(judgment: Judgment): readonly Draft[];
  bad(judgment: Judgment): readonly Draft[];
}

const nothing = () => [];
const nowhere = () => undefined;
const draftAt = (place: 0 | 1) => (judgment: Judgment) => judgment.drafts.slice(place, place + 1);
const all = ({ drafts }: Judgment) => drafts;
/** One of two drafts is better as it is. */
const pick = (words: string, better: 0 | 1): Meaning => ({
  words,
  drafts: 2,
  isPair: true,
  place: () => better,
  good: draftAt(better),
  bad: draftAt(better === 0 ? 1 : 0),
});

export const VERDICTS: Readonly<Record<Verdict, Meaning>> = {
  first: pick('first is better', 0),
  second: pick('second is better', 1),
  edit: {
    words: 'edited',
    drafts: 2,
    isPair: true,
    place: ({ edit }) => edit?.draft,
    good: ({ edit }) => (edit ? [{ text: edit.text, ended: edit.ended }] : []),
    bad: ({ edit, drafts }) => (edit ? drafts.slice(1 - edit.draft, 2 - edit.draft) : []),
  },
  tie: { words: 'tie', drafts: 2, isPair: false, place: nowhere, good: nothing, bad: nothing },
  'both-bad': { words: 'both bad', drafts: 2, isPair: false, place: nowhere, good: nothing, bad: all },
  up: { words: 'thumb up', drafts: 1, isPair: false, place: nowhere, good: all, bad: nothing },
  down: { words: 'thumb down', drafts: 1, isPair: false, place: nowhere, good: nothing, bad: all },
};

/** What the judgment's verdict means. */
export const meaningOf = ({ verdict }: Judgment): Meaning => VERDICTS[verdict];

/** Whether this is the name of a verdict. */
export const isVerdict = (name: unknown): name is Verdict =>
  typeof name === 'string' && own(VERDICTS, name) !== undefined;

export const newId = (): string => crypto.randomUUID();

/** The prompt as one text, for search and for people: turns with their roles. */
export function promptText(prompt: Prompt): string {
  if (typeof prompt === 'string') return prompt;
  return prompt.map(({ role, content }) => `${role}: ${content}`).join('\n');
}

/** Tags as they are kept: trimmed, none empty, none twice. A comma separates them. */
export function parseTags(text: string): string[] {
  const tags = text.split(',').map((tag) => tag.trim());
  return [...new Set(tags.filter((tag) => tag !== ''))];
}

/** By time, then by id, so that every tab has the same order. */
export const byTime = (a: Judgment, b: Judgment): number =>
  a.time - b.time || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
