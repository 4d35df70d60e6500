/**
 * Rewards that only need the completion, or a column, as data: one row each, by its command-line name. Those of TRL's
 * `trl.rewards` are computed in the same way.
 */

import { InputError } from '../io/errors.ts';
import { type BatchReward, type RewardBatch, textOfCompletion } from './rewards.ts';
import { sentiment as sentimentOf } from './sentiment.ts';

/** Options that the rewards may use. */
export interface RewardOptions {
  /** Maximum tokens of a completion. */
  maxCompletionLength: number;
}

/** Length of the token sequences that should not repeat. */
const NGRAM = 3;
/** The fraction of the completion's length over which `overlong` falls from 0 to −1. */
const OVERLONG_SHARE = 0.2;

const perText =
  (rating: (text: string) => number) =>
  ({ completions }: RewardBatch): number[] =>
    completions.map((completion) => rating(textOfCompletion(completion)));

export const REWARDS: Readonly<Record<string, (options: RewardOptions) => BatchReward>> = {
  /** The sum of the ratings of its words (AFINN-165). */
  sentiment: () => perText(sentimentOf),
  /** Its number of tokens, including the end token. */
  length:
    () =>
    ({ completionIds }) =>
      completionIds.map(({ length }) => length),
  /** −1 times the fraction of repeated token trigrams (TRL's `get_repetition_penalty_reward`). */
  repetition:
    () =>
    ({ completionIds }) =>
      completionIds.map((ids) => -repeatedShare(ids, NGRAM)),
  /** 0, falling to −1 over the last fifth of the length (TRL's `get_soft_overlong_punishment`; DAPO). */
  overlong: ({ maxCompletionLength }) => {
    const room = Math.max(1, Math.floor(OVERLONG_SHARE * maxCompletionLength));
    return ({ completionIds }) =>
      completionIds.map(({ length }) =>
        Math.min(0, Math.max(-1, (maxCompletionLength - room - length) / room)),
      );
  },
  /** 1 if the completion is `<think>…</think>` followed by any text, else 0 (TRL's `think_format_reward`). */
  think_format: () => perText((text) => (/^<think>(?!.*<think>).*?<\/think>.*$/s.test(text) ? 1 : 0)),
  /** 1 if the completion's last line, or the text after `</think>`, equals the row's `solution`, else 0. */
  accuracy:
    () =>
    ({ completions, columns: { solution } }) => {
      if (!solution) {
        const wayOut = 'Give the data a column "solution", or use another reward';
        throw new InputError('reward accuracy', 'the rows have no column "solution"', wayOut);
      }
      return completions.map((completion, i) => {
        const wanted = solution[i];
        if (typeof wanted !== 'string' && typeof wanted !== 'number') return null;
        return isAnswer(textOfCompletion(completion), String(wanted)) ? 1 : 0;
      });
    },
};

/** The fraction of n-grams that have occurred before; 0 for a list shorter than n. */
export function repeatedShare(ids: readonly number[], n: number): number {
  const total = ids.length - n + 1;
  if (total <= 0) return 0;
  const kinds = new Set(Array.from({ length: total }, (_, i) => ids.slice(i, i + n).join(' ')));
  return 1 - kinds.size / total;
}

function isAnswer(text: string, wanted: string): boolean {
  const [answerPart = ''] = text.split('</think>').slice(-1);
  const [last = ''] = answerPart.trim().split('\n').slice(-1);
  const plain = (each: string) => each.trim().replace(/\.$/, '').toLowerCase();
  const [answer, solution] = [plain(last), plain(wanted)];
  return answer === solution || (answer !== '' && Number(answer) === Number(solution));
}
