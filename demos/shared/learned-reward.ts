/**
 * A reward model on the base of the policy, under one name in the log. Its adapter is on only while it scores, and it is put on the
 * model again after a lost device.
 */
import type { Tokenizer } from 'webalign';
import type { Gpu } from 'webalign/gpu';
import { type Adapter, type CausalLM, RewardModel } from 'webalign/models';
import type { Rater, RewardBatch } from 'webalign/rollouts';

type Sequences = Parameters<RewardModel['rateTokens']>[0];

export class LearnedReward implements Rater {
  private current: RewardModel | undefined;
  private adapter: Adapter | undefined;

  constructor(readonly name: string) {}

  /** Puts a reward model on the base, unless it is there. */
  put(model: CausalLM, tokenizer: Tokenizer, adapter: Adapter): void {
    if (this.current?.model === model && this.adapter === adapter) return;
    this.drop(model);
    this.current = RewardModel.on(model, adapter, { tokenizer, name: this.name });
    this.adapter = adapter;
  }

  /** Takes it off the base. */
  drop(model: CausalLM): void {
    // One on a lost device no longer exists.
    if (this.current?.model === model) this.current.dispose();
    this.current = undefined;
    this.adapter = undefined;
  }

  rate(batch: RewardBatch): Promise<number[]> {
    return this.model.rate(batch);
  }

  /** Scores of completions by their tokens, as in {@link rate}. */
  score(sequences: Sequences): Promise<number[]> {
    return this.model.rateTokens(sequences);
  }

  rehearse(...given: [gpu: Gpu, sequences: Parameters<RewardModel['rehearse']>[1]]): void {
    this.current?.rehearse(...given);
  }

  private get model(): RewardModel {
    if (!this.current) throw new Error('there is no reward model yet');
    return this.current;
  }
}
