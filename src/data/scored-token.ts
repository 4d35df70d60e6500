/**
 * Which token of a sequence a reward model scores. Later tokens have no effect, so sequences are cut after it.
 */
import type { TokenizedSequence } from './packing.ts';
import type { TokenIds } from './token-ids.ts';

/**
 * Prompt and completion up to the scored token: the last one that is not `padTokenId`, the rule of transformers; the first
 * one if all are, and the last one if `padTokenId` is undefined. The completion is never empty; the prompt may be.
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

/** The index of the last id that satisfies `is`; −1 if there is none. */
function lastOf(ids: TokenIds, is: (id: number) => boolean): number {
  let at = ids.length - 1;
  while (at >= 0 && !is(ids[at])) at--;
  return at;
}

/** The length of the common prefix of two sequences, which becomes their prompt. */
export function sharedPrompt(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length) - 1;
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
