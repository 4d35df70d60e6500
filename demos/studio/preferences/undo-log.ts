/** The changes of this tab that can be taken back, the last one first. It lives as long as the tab. */
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

export class UndoLog {
  private readonly steps: Step[] = [];

  /** Takes note of changes that are about to be made. */
  note(after: Changes, done: string, find: Find): void {
    const before = new Map([...after.keys()].map((id) => [id, find(id)]));
    this.steps.push({ done, before, after });
    if (this.steps.length > STEPS) this.steps.shift();
  }

  /** What takes the last step back, and a sentence about it. What another tab has changed since is left alone. */
  take(find: Find): { changes: Changes; words: string } | undefined {
    const step = this.steps.pop();
    if (!step) return undefined;
    const { done, before, after } = step;
    const changes = new Map([...before].filter(([id]) => isSame(find(id), after.get(id))));
    const rest = before.size - changes.size;
    const left = rest === 0 ? '' : ` ${counted(rest, 'other')} changed in another tab and stayed.`;
    return { changes, words: `Undone: ${counted(changes.size, 'judgment')} ${done}.${left}` };
  }
}

/** A judgment that another tab has written is another object. */
const isSame = (a: Change, b: Change) => a === b || JSON.stringify(a) === JSON.stringify(b);
