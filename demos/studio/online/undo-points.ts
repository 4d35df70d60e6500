/**
 * Checkpoints of an online run as they were before its latest learning steps, in this browser; in memory where it keeps nothing. A
 * point is the bytes that the trainer wrote, and going back is putting them in its place again.
 */
import { delMany, get, keys, set, type UseStore } from 'idb-keyval';
import { browserStore } from '../../shared/browser-store.ts';

/** Bytes of all points together; one is kept however large it is. */
const MOST_BYTES = 64 * 2 ** 20;
const MOST_POINTS = 16;

type Bytes = Uint8Array<ArrayBuffer>;

export class UndoPoints {
  /** By step. What the browser keeps is read when it is asked for. */
  private readonly points = new Map<number, Bytes | undefined>();

  private constructor(
    private readonly startedAt: number,
    private readonly store: UseStore | undefined,
  ) {}

  /** Those of the run that was started then. What belongs to other runs is removed; `isKept` says whether this tab may. */
  static async of(startedAt: number, isKept: boolean): Promise<UndoPoints> {
    const store = isKept ? browserStore('webalign-studio-undo', 'checkpoints') : undefined;
    const points = new UndoPoints(startedAt, store);
    if (store) await points.find(store).catch(() => undefined);
    return points;
  }

  /** The latest point before a step; undefined where there is none. */
  before(step: number): number | undefined {
    const earlier = [...this.points.keys()].filter((each) => each < step);
    return earlier.length > 0 ? Math.max(...earlier) : undefined;
  }

  /** How many steps back there are from a step. */
  countBefore(step: number): number {
    return [...this.points.keys()].filter((each) => each < step).length;
  }

  async add(step: number, bytes: Bytes): Promise<void> {
    await this.remove([...this.points.keys()].filter((each) => each >= step));
    this.points.set(step, bytes);
    const kept =
      this.store &&
      (await set(this.keyOf(step), bytes, this.store).then(
        () => true,
        () => false,
      ));
    // The browser has it, and memory need not.
    if (kept) this.points.set(step, undefined);
    const most = Math.max(2, Math.min(MOST_POINTS, Math.floor(MOST_BYTES / bytes.length)));
    const steps = [...this.points.keys()].sort((a, b) => a - b);
    await this.remove(steps.slice(0, Math.max(0, steps.length - most)));
  }

  /** The bytes of a point; undefined where the browser has lost them. */
  async read(step: number): Promise<Bytes | undefined> {
    return this.points.get(step) ?? (this.store && get<Bytes>(this.keyOf(step), this.store));
  }

  private async find(store: UseStore): Promise<void> {
    const all = await keys<string>(store);
    const prefix = `${this.startedAt} `;
    const mine = all.filter((key) => key.startsWith(prefix));
    for (const key of mine) this.points.set(Number(key.slice(prefix.length)), undefined);
    const others = all.filter((key) => !key.startsWith(prefix));
    if (others.length > 0) await delMany(others, store);
  }

  private async remove(steps: readonly number[]): Promise<void> {
    for (const step of steps) this.points.delete(step);
    const { store } = this;
    if (store && steps.length > 0)
      await delMany(
        steps.map((step) => this.keyOf(step)),
        store,
      ).catch(() => undefined);
  }

  private keyOf(step: number): string {
    return `${this.startedAt} ${step}`;
  }
}
