/**
 * The rewards that a person can choose, as data: a row each, with the β that suits its scale.
 */
import { type BatchReward, REWARDS } from '../../src/index.ts';
import type { JudgePort } from './messages.ts';
import { rater } from './rater.ts';

export interface RewardChoice {
  label: string;
  /** What it counts, in a sentence. */
  help: string;
  /** The pull to the original that suits the size of its numbers. */
  beta: number;
  /** Whether the words that AFINN rates are marked. */
  marksWords: boolean;
}

export const CHOICES = {
  sentiment: {
    label: 'Happy words',
    help: 'The sum of the words’ ratings from −5 to 5, by the AFINN lexicon.',
    beta: 2,
    marksWords: true,
  },
  length: {
    label: 'Long stories',
    help: 'The number of tokens, the end token included.',
    beta: 6,
    marksWords: false,
  },
  repetition: {
    label: 'No repetition',
    help: '−1 times the share of three tokens in a row that have been there before.',
    beta: 0.03,
    marksWords: false,
  },
  typed: {
    label: 'A function that you type',
    help: 'It runs in a worker of its own, without network and without this page’s data.',
    beta: 2,
    marksWords: false,
  },
} as const satisfies Readonly<Record<string, RewardChoice>>;

export type RewardName = keyof typeof CHOICES;

/** Most seconds that a typed function may take for a batch. */
export const PATIENCE = 10;

/** The reward by its name. Throws where the typed function is wanted and does not answer anywhere. */
export function rewardOf(name: RewardName, maxCompletionLength: number, judge?: JudgePort): BatchReward {
  if (name !== 'typed') {
    const reward = (REWARDS[name] as (typeof REWARDS)[string])({ maxCompletionLength });
    return named(name, reward);
  }
  if (!judge) throw new Error('The typed function does not run: start the run again.');
  const ask = rater(judge.port);
  return named(judge.name, ({ prompts, completions, completionIds, finished }) =>
    ask(
      completions.map((text, i) => ({
        text: text as string,
        prompt: prompts[i] as string,
        tokens: completionIds[i]?.length ?? 0,
        ended: finished[i] === 'eos',
      })),
    ),
  );
}

/** A reward is logged by the name of its function. */
function named(name: string, reward: BatchReward): BatchReward {
  return Object.defineProperty((batch: Parameters<BatchReward>[0]) => reward(batch), 'name', { value: name });
}
