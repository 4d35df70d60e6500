/**
 * Finds the parts of a template's output between `{% generation %}` and `{% endgeneration %}`, which the assistant writes,
 * like transformers (`AssistantTracker` of its `chat_template_utils.py`).
 */
import type { Environment } from '@huggingface/jinja';
import { type Call, textOf, type Value } from './template-values.ts';

export interface GenerationBlock {
  start: number;
  end: number;
  /** Whether it was in a macro or another block whose text the template may change before it is written. */
  isHeld: boolean;
}

export class GenerationTracker {
  readonly blocks: GenerationBlock[] = [];
  /** Number of characters written so far. */
  written = 0;
  /** Number of macros, and other blocks whose text becomes a value, around the current node. */
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

  /** Runs the block that `scope` has as its caller, and records its position. */
  mark(scope: Environment): Value {
    const caller = scope.lookupVariable('caller').value as unknown as Call;
    const { written: start, holders } = this;
    const made = this.holding(() => caller([], scope));
    this.blocks.push({ start, end: start + textOf(made).length, isHeld: holders > 0 });
    return made;
  }
}
