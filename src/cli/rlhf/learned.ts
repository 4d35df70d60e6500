/**
 * The learned reward as the study reads it. The model has learned to read a score at the end token of a text, so a story that was
 * cut at its length is given one: without it, the score hardly depends on the story.
 */
import type { BatchReward } from '../../rollout/rewards.ts';
import type { RewardModel } from '../../train/reward-model.ts';

/** Token ids of a prompt and what follows it. */
interface Sequence {
  prompt: readonly number[];
  completion: readonly number[];
}

export class LearnedReward {
  constructor(
    private readonly model: RewardModel,
    private readonly signal: AbortSignal,
  ) {}

  score(sequences: readonly Sequence[]): Promise<number[]> {
    const { signal } = this;
    const ends = this.model.model.config.eosTokenIds;
    const ended = sequences.map(({ prompt, completion }) => {
      const isEnded = ends.includes(completion.at(-1) as number);
      return { prompt: [...prompt], completion: [...completion, ...(isEnded ? [] : ends.slice(0, 1))] };
    });
    return this.model.scoreTokens(ended, { signal });
  }

  /** For a trainer. */
  readonly reward: BatchReward = ({ promptIds, completionIds }) =>
    this.score(
      completionIds.map((completion, i) => ({ prompt: promptIds[i] as readonly number[], completion })),
    );
}
