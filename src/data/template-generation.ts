/**
 * Which part of the text that a template makes stands between `{% generation %}` and `{% endgeneration %}`: what the assistant
 * writes, as transformers finds it (`AssistantTracker` of its `chat_template_utils.py`).
 */
import type { Environment } from '@huggingface/jinja';
import { type Call, textOf, type Value } from './template-values.ts';

export interface GenerationBlock {
  start: number;
  end: number;
  /** Whether it stood in a macro or in another block whose text the template may change before it is written. */
  isHeld: boolean;
}

export class GenerationTracker {
  readonly blocks: GenerationBlock[] = [];
  /** Characters written so far. */
  written = 0;
  /** Macros, and other blocks whose text becomes a value, around what is evaluated. */
  private holders = 0;

  /** Runs a block whose text becomes a value. */
  holding<T>(work: () => T): T {
    this.holders++;
    try {
      return work();
    } finally {
      this.holders--;
    }
  }

  /** Runs the block that `scope` has as its caller, and notes its place. */
  mark(scope: Environment): Value {
    const caller = scope.lookupVariable('caller').value as unknown as Call;
    const { written: start, holders } = this;
    const made = this.holding(() => caller([], scope));
    this.blocks.push({ start, end: start + textOf(made).length, isHeld: holders > 0 });
    return made;
  }
}
