/**
 * What the job asks of the GPU: a trainer of RLOO by the chosen reward.
 */
import { type BatchReward, type PromptRow, RLOOTrainer } from '../../src/index.ts';
import { Host, type Machine, openMachine } from '../shared/host.ts';
import type { Assets } from './assets.ts';
import type { RlhfKept } from './job.ts';
import type { Settings } from './messages.ts';
import { loraConfig, trainingArgs } from './task.ts';

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

  /** The trainer of a run, with a fresh adapter on the model. Throws `InputError` for settings that make no sense. */
  newTrainer(settings: Settings, reward: BatchReward, kept: RlhfKept): RLOOTrainer {
    const rows = (prompts: readonly string[]): PromptRow[] => prompts.map((prompt) => ({ prompt }));
    return new RLOOTrainer({
      model: this.model,
      processingClass: this.tokenizer,
      trainDataset: rows(this.assets.train),
      evalDataset: rows(this.assets.heldOut),
      rewardFuncs: reward,
      args: trainingArgs(settings),
      peftConfig: loraConfig(settings),
      checkpoint: kept.checkpoint,
    });
  }
}
