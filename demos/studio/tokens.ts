/**
 * Rows to token ids. The library ends every completion with the model's end token; a draft that was judged before its end must
 * not teach the model to stop there, so its end token is taken off again.
 */
import { type TokenIds, type Tokenizer, tokenizeCompletions } from 'webalign/data';
import type { LabelRow, PairRow, TextRow } from './preferences/rows.ts';

/** What rows are tokenized with. */
export interface Ending {
  tokenizer: Tokenizer;
  /** Embeddings of the model. */
  vocabSize: number;
  /** Most tokens of prompt and completion. */
  maxLength: number;
}

/** Throws `InputError`, which quotes the prompt, for a row that leaves nothing to learn. */
export function pairIds(row: PairRow, ending: Ending) {
  const { prompt, chosen, rejected, where } = row;
  const { ids, completions } = encode({ prompt, completions: { chosen, rejected }, where }, ending);
  const { tokenizer } = ending;
  return {
    prompt: ids,
    chosen: ended(completions[0] ?? [], row.chosenEnded, tokenizer),
    rejected: ended(completions[1] ?? [], row.rejectedEnded, tokenizer),
  };
}

/** Throws `InputError`, which quotes the prompt, for a row that leaves nothing to learn. */
export function sequenceIds(
  { prompt, completion, ended: isEnded, where }: LabelRow | TextRow,
  ending: Ending,
) {
  const { ids, completions } = encode({ prompt, completions: { completion }, where }, ending);
  return { prompt: ids, completion: ended(completions[0] ?? [], isEnded, ending.tokenizer) };
}

type Row = Parameters<typeof tokenizeCompletions>[0][number];

function encode(row: Row, { tokenizer, vocabSize, maxLength }: Ending) {
  const { examples } = tokenizeCompletions([row], tokenizer, { vocabSize, maxLength });
  const [example] = examples;
  return { ids: example?.prompt ?? [], completions: example?.completions ?? [] };
}

/**
 * A completion without its end token where the model had not written one. A chat template may write more behind the end of a
 * turn, such as a line break, which goes with it.
 */
function ended(given: TokenIds, isEnded: boolean, tokenizer: Tokenizer): number[] {
  const ids = [...given];
  if (isEnded) return ids;
  const at = ids.findLastIndex((id) => id === tokenizer.eosId || tokenizer.isAdded(id));
  return ids.slice(0, at > 0 ? at : undefined);
}
