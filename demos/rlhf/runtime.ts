/**
 * The job's GPU work: an RLOO trainer with the selected reward.
 */
import type { PreferenceRow, PromptRow } from 'webalign/data';
import { type Adapter, RewardModel } from 'webalign/models';
import type { Reward } from 'webalign/rollouts';
import { RLOOTrainer } from 'webalign/trainers';
import { Host, type Machine, openMachine } from '../shared/host.ts';
import type { Assets } from './assets.ts';
import type { RlhfKept } from './job.ts';
import type { Settings } from './messages.ts';
import type { TokenPair } from './reward-model.ts';
import { loraConfig, trainingArgs } from './task.ts';

/** The name of a reward model's scores in the log. */
const LEARNED = 'learned';

export class Runtime extends Host<RLOOTrainer> {
  /** Throws `NoAdapterError`. */
  static async open(assets: Assets): Promise<Runtime> {
    return new Runtime(assets, await openMachine(assets.model));
  }

  private constructor(
    private readonly assets: Assets,
    machine: Machine,
  ) {
    super(machine);
  }

  private rewardModel: RewardModel | undefined;

  /** Pairs of the data as token ids. Their stories were truncated, so they have no end token. */
  tokenPairs(rows: readonly PreferenceRow[]): TokenPair[] {
    return rows.map(({ prompt, chosen, rejected }) => {
      const ids = this.tokenizer.encode(prompt as string);
      const behind = (text: string) => this.tokenizer.encode(`${prompt}${text}`).slice(ids.length);
      return { prompt: ids, chosen: behind(chosen as string), rejected: behind(rejected as string) };
    });
  }

  /** Sets the reward model, on the policy's own base. */
  useReward(adapter: Adapter): void {
    if (this.rewardModel?.model === this.model) return;
    const { model, tokenizer } = this;
    this.rewardModel = RewardModel.on(model, adapter, { tokenizer, name: LEARNED });
  }

  /** Removes the reward model of a run. */
  dropReward(): void {
    // One on a lost device no longer exists.
    if (this.rewardModel?.model === this.model) this.rewardModel.dispose();
    this.rewardModel = undefined;
  }

  /** Calls the reward model that exists at that time. */
  readonly learned: Reward = {
    name: LEARNED,
    rate: (batch) => {
      if (!this.rewardModel) throw new Error('there is no reward model yet');
      return this.rewardModel.rate(batch);
    },
  };

  /** The trainer of a run, with a new adapter on the model. Throws `InputError` for invalid settings. */
  newTrainer(settings: Settings, rewards: readonly Reward[], kept: RlhfKept): RLOOTrainer {
    const rows = (prompts: readonly string[]): PromptRow[] => prompts.map((prompt) => ({ prompt }));
    return new RLOOTrainer({
      model: this.model,
      processingClass: this.tokenizer,
      trainDataset: rows(this.assets.train),
      evalDataset: rows(this.assets.heldOut),
      rewardFuncs: rewards,
      // Only the first reward is optimized; the others are logged.
      args: { ...trainingArgs(settings), rewardWeights: rewards.map((_, i) => (i === 0 ? 1 : 0)) },
      peftConfig: loraConfig(settings),
      checkpoint: kept.checkpoint,
    });
  }
}
