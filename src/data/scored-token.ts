/**
 * Which token of a sequence a reward model scores. What follows that token changes nothing, so sequences are cut behind it.
 */
import type { TokenizedSequence } from './packing.ts';
import type { TokenIds } from './token-ids.ts';

/**
 * Prompt and completion up to the token that is scored: the last one that is not `padTokenId`, as transformers finds it by its id;
 * the first where all are, and the last where there is no such id. The completion is never empty; the prompt may be.
 */
export function upToScored(
  { prompt, completion }: TokenizedSequence,
  padTokenId?: number,
): TokenizedSequence {
  const isText = (id: number) => id !== padTokenId;
  const inCompletion = lastOf(completion, isText);
  if (inCompletion >= 0) return { prompt, completion: completion.slice(0, inCompletion + 1) };
  const last = Math.max(0, lastOf(prompt, isText));
  const [only] = prompt.slice(last);
  return only === undefined
    ? { prompt, completion: completion.slice(0, 1) }
    : { prompt: prompt.slice(0, last), completion: [only] };
}

/** The last place of an id that `is` says; −1 without one. */
function lastOf(ids: TokenIds, is: (id: number) => boolean): number {
  let at = ids.length - 1;
  while (at >= 0 && !is(ids[at] as number)) at--;
  return at;
}

/** Two sequences as completions of what they begin with alike. */
export function sharedPrompt(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length) - 1;
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
