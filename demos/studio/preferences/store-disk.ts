/**
 * The records of judgments in IndexedDB, and the channel on which tabs tell each other which ones changed. A write that does not
 * fit is taken apart until what fits is written; nothing here holds on to what does not.
 */
import { getMany, promisifyRequest, type UseStore, values } from 'idb-keyval';
import { reason } from 'webalign/files';
import { browserStore } from '../../shared/browser-store.ts';
import type { Judgment } from './judgment.ts';

/** A judgment as it is now; undefined where it was deleted. */
export type Change = Judgment | undefined;
export type Changes = Map<string, Change>;

export interface Disk {
  /** Why nothing can be kept; empty where it can. */
  readonly denied: string;
  readAll(): Promise<Judgment[]>;
  /** What of it is written, and why the rest is not. Never rejects. */
  write(changes: Changes): Promise<{ written: Changes; why: string }>;
  /** Hears what other tabs have written. */
  onChange(listener: (changes: Changes) => void): void;
  close(): void;
}

const DENIED = 'This browser keeps nothing for this page.';
const FULL = 'This browser has no more room for this page.';
/** Records that are refused one by one before a write gives up. */
const PATIENCE = 2;

/** The database of this name; rejects where the browser keeps nothing. */
export async function openDisk(database: string): Promise<Disk> {
  const store = browserStore(database, 'judgments');
  await store('readonly', (judgments) => promisifyRequest(judgments.count()));
  return new StoredJudgments(store, new BroadcastChannel(database));
}

/** What there is instead. */
export const NO_DISK: Disk = {
  denied: DENIED,
  readAll: async () => [],
  write: async () => ({ written: new Map(), why: DENIED }),
  onChange: () => {},
  close: () => {},
};

class StoredJudgments implements Disk {
  readonly denied = '';

  constructor(
    private readonly store: UseStore,
    private readonly channel: BroadcastChannel,
  ) {}

  readAll(): Promise<Judgment[]> {
    return values<Judgment>(this.store);
  }

  async write(changes: Changes): Promise<{ written: Changes; why: string }> {
    // What is deleted makes room for the rest.
    const order = [...changes].sort(([, a], [, b]) => Number(a !== undefined) - Number(b !== undefined));
    const written: Changes = new Map();
    const refusals: unknown[] = [];
    await this.writeParts(order, written, refusals);
    if (written.size > 0) this.channel.postMessage([...written.keys()]);
    return { written, why: refusals.length === 0 ? '' : whyOf(refusals[0]) };
  }

  onChange(listener: (changes: Changes) => void): void {
    this.channel.onmessage = async ({ data }: MessageEvent<string[]>) => {
      const found = await getMany<Judgment>(data, this.store).catch(() => undefined);
      if (found) listener(new Map(data.map((id, i) => [id, found[i]])));
    };
  }

  close(): void {
    this.channel.close();
  }

  /** One transaction where it fits, otherwise its halves. */
  private async writeParts(
    changes: readonly [string, Change][],
    written: Changes,
    refusals: unknown[],
  ): Promise<void> {
    if (changes.length === 0 || refusals.length >= PATIENCE) return;
    try {
      await this.store('readwrite', (judgments) => {
        for (const [id, change] of changes) {
          if (change) judgments.put(change, id);
          else judgments.delete(id);
        }
        return promisifyRequest(judgments.transaction);
      });
      for (const [id, change] of changes) written.set(id, change);
    } catch (error) {
      if (changes.length === 1) return void refusals.push(error);
      const middle = changes.length >> 1;
      await this.writeParts(changes.slice(0, middle), written, refusals);
      await this.writeParts(changes.slice(middle), written, refusals);
    }
  }
}

const whyOf = (error: unknown): string =>
  error instanceof DOMException && error.name === 'QuotaExceededError'
    ? FULL
    : `This browser could not write to its storage (${reason(error)}).`;
