/** Judgments of a file beside those that are there: one id is one judgment, and where two differ both are kept. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { counted } from '../../../src/base/counted.ts';
import type { Draft, Judgment } from './judgment.ts';

export interface Merged {
  /** To be added. */
  added: Judgment[];
  /** Judgments that are there already. */
  same: number;
  /** Of those added: judgments that differ from one that has their id. They have a new id and the tag {@link CONFLICT}. */
  conflicts: number;
}

export const CONFLICT = 'conflict';

/** What of `theirs` is new beside `mine`. The same file gives nothing the second time. */
export function merge(mine: readonly Judgment[], theirs: readonly Judgment[]): Merged {
  const known = new Map(mine.map((each) => [each.id, contentOf(each)]));
  const merged: Merged = { added: [], same: 0, conflicts: 0 };
  for (const judgment of theirs) {
    const content = contentOf(judgment);
    const beside = `${judgment.id}~${hashOf(content).slice(0, 8)}`;
    if (known.get(judgment.id) === content || known.has(beside)) {
      merged.same++;
    } else if (known.has(judgment.id)) {
      merged.conflicts++;
      merged.added.push({ ...judgment, id: beside, tags: [...(judgment.tags ?? []), CONFLICT] });
      known.set(beside, content);
    } else {
      merged.added.push(judgment);
      known.set(judgment.id, content);
    }
  }
  return merged;
}

/** What came of it, in sentences. */
export function mergeText({ added, same, conflicts }: Merged): string {
  const parts = [
    `${counted(added.length, 'judgment')} added.`,
    same > 0 && `${same} ${same === 1 ? 'was' : 'were'} there already.`,
    conflicts > 0 &&
      `${conflicts} ${conflicts === 1 ? 'differs' : 'differ'} from a judgment of the same id: both are kept, the new one with the tag “${CONFLICT}”.`,
  ];
  return parts.filter((part) => part !== false).join(' ');
}

/** A judgment without its id, time and origin, as text that does not depend on the order of keys. */
function contentOf({
  prompt,
  drafts,
  verdict,
  edit,
  note = '',
  tags = [],
}: Omit<Judgment, 'id' | 'time'>): string {
  const turns = typeof prompt === 'string' ? prompt : prompt.map(({ role, content }) => [role, content]);
  const draft = ({ text, ended, source }: Draft) => [text, ended, source?.model ?? '', source?.adapter ?? ''];
  return JSON.stringify([
    turns,
    drafts.map(draft),
    verdict,
    edit && [edit.draft, edit.text, edit.ended],
    note,
    tags,
  ]);
}

/** An id for a judgment that has none: the same content has it in every file. */
export const contentId = (judgment: Omit<Judgment, 'id' | 'time'>): string =>
  `file-${hashOf(contentOf(judgment)).slice(0, 24)}`;

const hashOf = (text: string): string => bytesToHex(sha256(new TextEncoder().encode(text)));
