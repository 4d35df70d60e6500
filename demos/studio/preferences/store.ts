/**
 * The judgments of this browser, in IndexedDB: one record each, so that a pick never rewrites the others. Memory shows a change at
 * once; it counts as kept when its transaction is complete. What cannot be kept (no storage, no room) stays in memory, is said,
 * and is tried again with every later change. Tabs tell each other which records changed. It asks for nothing from a network.
 */
import { counted } from '../../../src/base/counted.ts';
import { type Counts, countJudgments } from './counts.ts';
import { byTime, type Judgment } from './judgment.ts';
import { type Change, type Changes, type Disk, NO_DISK, openDisk } from './store-disk.ts';
import { UndoLog } from './undo-log.ts';

export interface StoreState {
  /** Counts of what is on disk. */
  kept: Counts;
  /** Changes that only this tab has; above zero there is a problem. */
  unsaved: number;
  /** Why something is not kept, and the way out; empty where all is well. */
  problem: string;
}

export interface PreferenceStore {
  /** By time, with what is not kept yet. The same array until something changes. */
  all(): readonly Judgment[];
  state(): StoreState;
  /** True when it is on disk; false where only this tab has it. */
  add(judgments: Judgment | readonly Judgment[]): Promise<boolean>;
  /** Rejects where another tab has deleted the judgment. `undefined` removes a field. */
  edit(id: string, change: Partial<Omit<Judgment, 'id'>>): Promise<boolean>;
  delete(ids: string | readonly string[]): Promise<boolean>;
  /** Takes back the last change of this tab and says which; undefined where there is none. */
  undo(): Promise<string | undefined>;
  /** Hears of every change, of other tabs too. Returns what ends that. */
  subscribe(listener: () => void): () => void;
  /** Hears in a sentence that another tab has changed or deleted what this one shows; its change is the one that stays. */
  onElsewhere(listener: (text: string) => void): void;
  /** Tries what is not kept once more. */
  save(): Promise<boolean>;
  close(): void;
}

/** The store of this name; never rejects. Where the browser keeps nothing, it lives in memory and `problem` says so. */
export async function openPreferences({
  database = 'webalign-studio-preferences',
} = {}): Promise<PreferenceStore> {
  try {
    const store = new Preferences(await openDisk(database), new UndoLog(database, sessionStorage));
    await store.load();
    return store;
  } catch {
    return new Preferences(NO_DISK, new UndoLog(database));
  }
}

class Preferences implements PreferenceStore {
  private readonly kept = new Map<string, Judgment>();
  /** Newer than `kept`, by id; undefined for what was deleted. */
  private unsaved: Changes = new Map();
  private why = '';
  private readonly listeners = new Set<() => void>();
  private readonly elsewhere = new Set<(text: string) => void>();
  private queue: Promise<unknown> = Promise.resolve();
  private shown: readonly Judgment[] | undefined;

  constructor(
    private readonly disk: Disk,
    private readonly undoLog: UndoLog,
  ) {
    this.why = disk.denied;
    disk.onChange((changes) => {
      this.sayElsewhere(changes);
      for (const [id, change] of changes) this.keep(id, change);
      this.tell();
    });
  }

  /** After the constructor, which hears other tabs from then on: no change falls between. */
  async load(): Promise<void> {
    for (const judgment of await this.disk.readAll()) this.kept.set(judgment.id, judgment);
    this.shown = undefined;
  }

  all(): readonly Judgment[] {
    if (!this.shown) {
      const view = new Map<string, Change>([...this.kept, ...this.unsaved]);
      this.shown = [...view.values()].filter((judgment) => judgment !== undefined).sort(byTime);
    }
    return this.shown;
  }

  state(): StoreState {
    // A write on its way is not a problem.
    const unsaved = this.why === '' ? 0 : this.unsaved.size;
    return { kept: countJudgments(this.kept.values()), unsaved, problem: problem(this.why, unsaved) };
  }

  add(judgments: Judgment | readonly Judgment[]): Promise<boolean> {
    const added = 'id' in judgments ? [judgments] : judgments;
    return this.change(new Map(added.map((each) => [each.id, each])), 'added');
  }

  async edit(id: string, change: Partial<Omit<Judgment, 'id'>>): Promise<boolean> {
    const before = this.find(id);
    if (!before) throw new Error('This judgment is no longer there: it was deleted in another tab.');
    const entries = Object.entries({ ...before, ...change }).filter(([, value]) => value !== undefined);
    return this.change(new Map([[id, Object.fromEntries(entries) as unknown as Judgment]]), 'changed');
  }

  delete(ids: string | readonly string[]): Promise<boolean> {
    const gone = [ids].flat().filter((id) => this.find(id));
    return this.change(new Map(gone.map((id) => [id, undefined])), 'deleted');
  }

  async undo(): Promise<string | undefined> {
    const step = this.undoLog.take((id) => this.find(id));
    if (!step) return undefined;
    await this.write(step.changes);
    return step.words;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  onElsewhere(listener: (text: string) => void): void {
    this.elsewhere.add(listener);
  }

  save(): Promise<boolean> {
    return this.write(new Map());
  }

  close(): void {
    this.listeners.clear();
    this.disk.close();
  }

  private find(id: string): Change {
    return this.unsaved.has(id) ? this.unsaved.get(id) : this.kept.get(id);
  }

  private change(changes: Changes, done: string): Promise<boolean> {
    if (changes.size === 0) return Promise.resolve(true);
    this.undoLog.note(changes, done, (id) => this.find(id));
    return this.write(changes);
  }

  /** Shows the changes at once, and keeps them behind those before. */
  private async write(changes: Changes): Promise<boolean> {
    for (const [id, change] of changes) this.unsaved.set(id, change);
    this.tell();
    const turn = this.queue.then(() => this.flush(changes));
    this.queue = turn;
    await turn;
    return changes.size === 0
      ? this.unsaved.size === 0
      : [...changes].every(([id, change]) => !this.unsaved.has(id) || this.unsaved.get(id) !== change);
  }

  /** Writes what is not kept, the newest changes first: those most likely find room. */
  private async flush(newest: Changes): Promise<void> {
    const changes = new Map([...newest].filter(([id, change]) => this.unsaved.get(id) === change));
    for (const [id, change] of this.unsaved) if (!changes.has(id)) changes.set(id, change);
    const { written, why } = await this.disk.write(changes);
    for (const [id, change] of written) {
      this.keep(id, change);
      if (this.unsaved.get(id) === change) this.unsaved.delete(id);
    }
    this.why = why;
    this.tell();
  }

  private sayElsewhere(changes: Changes): void {
    const other = [...changes].filter(([id, change]) => {
      const mine = this.find(id);
      return mine !== undefined && JSON.stringify(mine) !== JSON.stringify(change);
    });
    if (other.length === 0) return;
    const text = `Another tab has changed ${counted(other.length, 'judgment')}; this tab shows what is kept now.`;
    for (const listener of this.elsewhere) listener(text);
  }

  private keep(id: string, change: Change): void {
    if (change) this.kept.set(id, change);
    else this.kept.delete(id);
  }

  private tell(): void {
    this.shown = undefined;
    for (const listener of this.listeners) listener();
  }
}

function problem(why: string, unsaved: number): string {
  if (why === '') return '';
  if (unsaved === 0) return `${why} What you judge ends with this tab unless you export it.`;
  const what = counted(unsaved, 'change is', 'changes are');
  return `${why} ${what} in this tab only: export before you close it.`;
}
