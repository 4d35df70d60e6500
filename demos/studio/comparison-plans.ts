/** How many picks are to decide each blind comparison, fixed at its first pick and kept in this browser. */
import { entries, update } from 'idb-keyval';
import { browserStore } from '../shared/browser-store.ts';

const store = () => browserStore('webalign-studio-comparisons', 'picks');

export class ComparisonPlans {
  private constructor(private readonly picks: Map<string, number>) {}

  /** Begins without any in a browser that keeps nothing. */
  static async open(): Promise<ComparisonPlans> {
    const kept = await entries<string, number>(store()).catch(() => []);
    return new ComparisonPlans(new Map(kept));
  }

  get byAdapter(): ReadonlyMap<string, number> {
    return this.picks;
  }

  /** Fixes the number of an adapter's comparison; the first number stays. */
  fix(adapter: string, picks: number): void {
    if (this.picks.has(adapter)) return;
    this.picks.set(adapter, picks);
    // What is not kept holds for this visit; a later one then shows counts without an interval.
    update<number>(adapter, (before) => before ?? picks, store()).catch(() => undefined);
  }
}
