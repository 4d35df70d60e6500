/** Which judgments the table shows: those that hold every word of the search, newest first. */
import { type Judgment, promptText, type Verdict } from './preferences/judgment.ts';

export interface Query {
  /** Words, each of which must be in the judgment's texts, note or tags. */
  text: string;
  /** Only this verdict; empty for all. */
  verdict: Verdict | '';
  /** Only these, where a warning is looked at. */
  ids?: ReadonlySet<string> | undefined;
}

/** Texts of judgments in lower case. A changed judgment is another object. */
const texts = new WeakMap<Judgment, string>();

export function matching(judgments: readonly Judgment[], { text, verdict, ids }: Query): Judgment[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return judgments
    .filter((judgment) => {
      if ((verdict !== '' && judgment.verdict !== verdict) || (ids && !ids.has(judgment.id))) return false;
      return words.length === 0 || words.every((word) => textOf(judgment).includes(word));
    })
    .reverse();
}

function textOf(judgment: Judgment): string {
  let text = texts.get(judgment);
  if (text === undefined) {
    const { prompt, drafts, edit, note = '', tags = [] } = judgment;
    const parts = [promptText(prompt), ...drafts.map((draft) => draft.text), edit?.text ?? '', note, ...tags];
    text = parts.join('\n').toLowerCase();
    texts.set(judgment, text);
  }
  return text;
}
