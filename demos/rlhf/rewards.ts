/**
 * The rewards that the user can choose, as data: one row each, with a β for its scale.
 */
import { type BatchReward, REWARDS, type Reward } from 'webalign/rollouts';
import type { JudgePort } from './messages.ts';
import { rater } from './rater.ts';

export interface RewardChoice {
  label: string;
  /** A description in one sentence. */
  help: string;
  /** A suitable β for the scale of the reward. */
  beta: number;
  /** Whether the words rated by AFINN are marked. */
  marksWords: boolean;
  /** The training data of a reward model that must be trained first: pairs of the data, rated by AFINN, or the user's answers. */
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
    help: 'The number of tokens, including the end token.',
    beta: 6,
    marksWords: false,
  },
  repetition: {
    label: 'No repetition',
    help: '−1 times the fraction of repeated token trigrams.',
    beta: 0.03,
    marksWords: false,
  },
  pairs: {
    label: 'Learned from pairs',
    help: 'A reward model learns from 640 pairs which story is happier; the policy learns from the model. AFINN is shown beside it.',
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
    help: 'It runs in a separate worker, without network and without this page’s data.',
    beta: 2,
    marksWords: false,
  },
} as const satisfies Readonly<Record<string, RewardChoice>>;

export type RewardName = keyof typeof CHOICES;

/** Maximum seconds of a typed function for a batch. */
export const PATIENCE = 10;

/** The row with this name. */
export function choiceOf(name: RewardName): RewardChoice {
  return CHOICES[name];
}

export interface RewardSources {
  maxCompletionLength: number;
  /** The port of the typed function. */
  judge: JudgePort | undefined;
  /** The reward model, once it exists. */
  learned: Reward;
}

/** The reward with this name. Throws if the typed function is needed but has no port. */
export function rewardOf(name: RewardName, { maxCompletionLength, judge, learned }: RewardSources): Reward {
  if (choiceOf(name).learnedFrom) return learned;
  if (name !== 'typed') {
    const reward = REWARDS[name]({ maxCompletionLength });
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

/** A reward is logged under the name of its function. */
function named(name: string, reward: BatchReward): BatchReward {
  return Object.defineProperty((batch: Parameters<BatchReward>[0]) => reward(batch), 'name', { value: name });
}
