/**
 * Which prompt comes next: those that were offered, in order, without those that have been judged or passed over. When all are
 * through, it begins again.
 */
import { typedOf } from './conversation.ts';
import type { Judgment } from './preferences/judgment.ts';

export class Prompts {
  private offered: readonly string[] = [];
  private readonly passed = new Set<string>();

  offer(prompts: readonly string[]): void {
    this.offered = prompts;
  }

  /** The prompt after `current`; undefined where none is offered. Those for which `isKept` holds are left for later. */
  next(
    current: string,
    judged: readonly Judgment[],
    isKept: (prompt: string) => boolean = () => false,
  ): string | undefined {
    const offered = this.offered.filter((prompt) => !isKept(prompt));
    this.passed.add(current);
    const done = new Set(judged.map(({ prompt }) => typedOf(prompt)));
    const isNew = (prompt: string) => !this.passed.has(prompt) && !done.has(prompt);
    const found = offered.find(isNew);
    if (found !== undefined) return found;
    this.passed.clear();
    return offered.find((prompt) => prompt !== current);
  }
}
