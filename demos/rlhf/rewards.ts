/**
 * The rewards that a person can choose, as data: a row each, with the β that suits its scale.
 */
import { type BatchReward, REWARDS, type Reward } from 'webalign/rollouts';
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
  /** Where a reward model learns it first: pairs of the data, which AFINN has rated, or a person's answers. */
  learnedFrom?: 'pairs' | 'clicks';
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
  pairs: {
    label: 'Learned from pairs',
    help: 'A reward model learns from 640 pairs which story is gladder; the policy learns from the model. AFINN is shown beside it.',
    beta: 0.5,
    marksWords: true,
    learnedFrom: 'pairs',
  },
  clicks: {
    label: 'Learned from your choices',
    help: 'You choose between two drafts, a reward model learns from your choices, and the policy from the model.',
    beta: 0.5,
    marksWords: false,
    learnedFrom: 'clicks',
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

/** The row of a name. */
export function choiceOf(name: RewardName): RewardChoice {
  return CHOICES[name];
}

export interface RewardSources {
  maxCompletionLength: number;
  /** Where the typed function answers. */
  judge: JudgePort | undefined;
  /** The reward model, as soon as there is one. */
  learned: Reward;
}

/** The reward by its name. Throws where the typed function is wanted and does not answer anywhere. */
export function rewardOf(name: RewardName, { maxCompletionLength, judge, learned }: RewardSources): Reward {
  if (choiceOf(name).learnedFrom) return learned;
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
