/**
 * The changes of this tab that can be taken back, the last one first. They outlive a reload in the storage that belongs to the tab,
 * a step at a time, and end with the tab.
 */
import { counted } from '../../../src/base/counted.ts';
import type { Change, Changes } from './store-disk.ts';

/** Steps that can be taken back; a step holds what it replaced. */
const STEPS = 500;

interface Step {
  /** `added`, `changed`, `deleted`. */
  done: string;
  before: Changes;
  after: Changes;
}

type Find = (id: string) => Change;
/** What a tab keeps, as `sessionStorage` does. */
export type TabStorage = Pick<Storage, 'length' | 'key' | 'getItem' | 'setItem' | 'removeItem'>;

export class UndoLog {
  private readonly steps = new Map<number, Step>();
  private next = 0;

  /** `name` tells the steps in `storage` from whatever else is there; without storage they end with the page. */
  constructor(
    private readonly name: string,
    private readonly storage?: TabStorage,
  ) {
    const numbers = Array.from({ length: storage?.length ?? 0 }, (_, i) => this.numberOf(storage?.key(i)));
    for (const number of numbers.filter((each) => each !== undefined).sort((a, b) => a - b)) {
      const step = read(storage?.getItem(this.keyOf(number)) ?? '');
      if (step) this.steps.set(number, step);
      this.next = number + 1;
    }
  }

  /** Takes note of changes that are about to be made. */
  note(after: Changes, done: string, find: Find): void {
    const before = new Map([...after.keys()].map((id) => [id, find(id)]));
    const step = { done, before, after };
    const number = this.next++;
    this.steps.set(number, step);
    if (this.steps.size > STEPS) this.forget(this.oldest());
    this.keep(number, step);
  }

  /** What takes the last step back, and a sentence about it. What another tab has changed since is left alone. */
  take(find: Find): { changes: Changes; words: string } | undefined {
    const [number, step] = [...this.steps].at(-1) ?? [];
    if (number === undefined || !step) return undefined;
    this.forget(number);
    const { done, before, after } = step;
    const changes = new Map([...before].filter(([id]) => isSame(find(id), after.get(id))));
    const rest = before.size - changes.size;
    const left = rest === 0 ? '' : ` ${counted(rest, 'other')} changed in another tab and stayed.`;
    return { changes, words: `Undone: ${counted(changes.size, 'judgment')} ${done}.${left}` };
  }

  /** Where the tab has no more room, the oldest steps make some; a step that finds none ends with the page. */
  private keep(number: number, step: Step): void {
    for (;;) {
      try {
        this.storage?.setItem(this.keyOf(number), written(step));
        return;
      } catch {
        const oldest = this.oldest();
        if (oldest === number) return;
        this.forget(oldest);
      }
    }
  }

  private forget(number: number): void {
    this.steps.delete(number);
    this.storage?.removeItem(this.keyOf(number));
  }

  private oldest(): number {
    return this.steps.keys().next().value ?? this.next;
  }

  private keyOf(number: number): string {
    return `${this.name} undo ${number}`;
  }

  private numberOf(key: string | null | undefined): number | undefined {
    const prefix = `${this.name} undo `;
    return key?.startsWith(prefix) ? Number(key.slice(prefix.length)) : undefined;
  }
}

// JSON leaves undefined out of an array's pair as null, which stands for a judgment that is not there.
const written = ({ done, before, after }: Step): string =>
  JSON.stringify({ done, before: [...before], after: [...after] });

/** Undefined for what is no step, such as one of another version of the page. */
function read(text: string): Step | undefined {
  type Pairs = [string, NonNullable<Change> | null][];
  const changes = (list: Pairs): Changes => new Map(list.map(([id, each]) => [id, each ?? undefined]));
  try {
    const { done, before, after } = JSON.parse(text) as { done: string; before: Pairs; after: Pairs };
    return { done, before: changes(before), after: changes(after) };
  } catch {
    return undefined;
  }
}

/** A judgment that another tab has written, or that was read after a reload, is another object. */
const isSame = (a: Change, b: Change) => a === b || JSON.stringify(a) === JSON.stringify(b);
