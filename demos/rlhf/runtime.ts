/**
 * The job's GPU work: an RLOO trainer with the selected reward.
 */
import type { PreferenceRow, PromptRow } from 'webalign/data';
import type { Reward } from 'webalign/rollouts';
import { RLOOTrainer } from 'webalign/trainers';
import { Host, type Machine, openMachine } from '../shared/host.ts';
import { LearnedReward } from '../shared/learned-reward.ts';
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

  /** The reward model of a run. */
  readonly learned = new LearnedReward(LEARNED);

  /** Pairs of the data as token ids. Their stories were truncated, so they have no end token. */
  tokenPairs(rows: readonly PreferenceRow[]): TokenPair[] {
    return rows.map(({ prompt, chosen, rejected }) => {
      const ids = this.tokenizer.encode(prompt as string);
      const behind = (text: string) => this.tokenizer.encode(`${prompt}${text}`).slice(ids.length);
      return { prompt: ids, chosen: behind(chosen as string), rejected: behind(rejected as string) };
    });
  }

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
