/** The reward model of the picks, in this browser by the model that it is on; in memory where the browser keeps nothing. */
import { get, set } from 'idb-keyval';
import type { AdapterFiles } from 'webalign/models';
import { browserStore } from '../../shared/browser-store.ts';
import type { RewardFigures } from './figures.ts';

export interface StoredReward {
  /** Milliseconds since 1970. */
  fittedAt: number;
  /** In PEFT's files, with its head. */
  files: AdapterFiles;
  figures: RewardFigures;
}

export class RewardStore {
  private latest: StoredReward | undefined;

  /** `key`: the model, by the name of its database. */
  constructor(private readonly key: string) {}

  async read(): Promise<StoredReward | undefined> {
    this.latest ??= await this.fromBrowser().catch(() => undefined);
    return this.latest;
  }

  /** Replaces the one before. Says whether this browser has it too. */
  async write(reward: StoredReward): Promise<boolean> {
    this.latest = reward;
    return this.toBrowser(reward).then(
      () => true,
      () => false,
    );
  }

  private async fromBrowser(): Promise<StoredReward | undefined> {
    return get<StoredReward>(this.key, store());
  }

  private async toBrowser(reward: StoredReward): Promise<void> {
    await set(this.key, reward, store());
  }
}

/** A browser that keeps nothing may throw here. */
const store = () => browserStore('webalign-studio-reward', 'models');
