/**
 * Judgments to rows that train: pairs for DPO, labelled completions for KTO, texts for fine-tuning. A chat's completions are
 * an assistant's turn, as in TRL's conversational data. An empty completion has no token to learn and makes no row; `warnings.ts`
 * tells of those.
 */
import { quote } from 'webalign/files';
import { type ChatTurn, type Draft, type Judgment, meaningOf, type Prompt, promptText } from './judgment.ts';

/** Text, or turns where the prompt is a chat. */
export type Completion = string | ChatTurn[];

interface Row {
  /** The judgment's id. */
  id: string;
  prompt: string | ChatTurn[];
  /** For messages: the prompt's beginning. */
  where: string;
}

export interface PairRow extends Row {
  chosen: Completion;
  rejected: Completion;
  /** False: no end token stands behind the completion. */
  chosenEnded: boolean;
  rejectedEnded: boolean;
}

export interface LabelRow extends Row {
  completion: Completion;
  /** Whether the completion is desirable. */
  label: boolean;
  ended: boolean;
}

export interface TextRow extends Row {
  completion: Completion;
  ended: boolean;
}

/** A judgment that makes a pair, and its two sides. */
export interface Pair {
  judgment: Judgment;
  chosen: Draft;
  rejected: Draft;
}

const isLearnable = ({ text }: Draft) => text !== '';

/** The pairs among the judgments, without those in which a side is empty. */
export function pairsOf(judgments: readonly Judgment[]): Pair[] {
  return judgments.flatMap((judgment) => {
    const meaning = meaningOf(judgment);
    const [chosen] = meaning.good(judgment);
    const [rejected] = meaning.bad(judgment);
    if (!(meaning.isPair && chosen && rejected)) return [];
    return isLearnable(chosen) && isLearnable(rejected) ? [{ judgment, chosen, rejected }] : [];
  });
}

/** DPO: picks and edits. */
export function pairRows(judgments: readonly Judgment[]): PairRow[] {
  return pairsOf(judgments).map(({ judgment, chosen, rejected }) => ({
    ...rowOf(judgment),
    chosen: completionOf(judgment.prompt, chosen),
    rejected: completionOf(judgment.prompt, rejected),
    chosenEnded: chosen.ended,
    rejectedEnded: rejected.ended,
  }));
}

/** A draft that was judged by itself, or as one side of a pair. */
export interface Labelled {
  judgment: Judgment;
  draft: Draft;
  label: boolean;
}

/** Labelled drafts; each pair among them as a good and a bad one, unless `picks` is false. Empty ones are left out. */
export function labelledOf(
  judgments: readonly Judgment[],
  { picks = true }: { picks?: boolean } = {},
): Labelled[] {
  return judgments.flatMap((judgment) => {
    const meaning = meaningOf(judgment);
    // A pair that is no row of DPO is none of KTO.
    if (meaning.isPair && !(picks && pairsOf([judgment]).length > 0)) return [];
    const labelled = (label: boolean) => (draft: Draft) => ({ judgment, draft, label });
    const both = [
      ...meaning.good(judgment).map(labelled(true)),
      ...meaning.bad(judgment).map(labelled(false)),
    ];
    return both.filter(({ draft }) => isLearnable(draft));
  });
}

/** KTO: thumbs, both drafts of `both bad`, and pairs as TRL unpairs them. */
export function labelRows(judgments: readonly Judgment[], options?: { picks?: boolean }): LabelRow[] {
  return labelledOf(judgments, options).map(({ judgment, draft, label }) => ({
    ...rowOf(judgment),
    completion: completionOf(judgment.prompt, draft),
    label,
    ended: draft.ended,
  }));
}

/** Fine-tuning: whatever was called good. */
export function textRows(judgments: readonly Judgment[]): TextRow[] {
  return labelRows(judgments).flatMap(({ label, ...row }) => (label ? [row] : []));
}

function rowOf({ id, prompt }: Judgment): Row {
  const where = `the judgment of ${quote(promptText(prompt), 60)}`;
  return { id, prompt: typeof prompt === 'string' ? prompt : [...prompt], where };
}

/** The draft in the form that its prompt has. */
export function completionOf(prompt: Prompt, { text }: Draft): Completion {
  return typeof prompt === 'string' ? text : [{ role: 'assistant', content: text }];
}
