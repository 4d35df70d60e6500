/** The warnings above the table, each with a button that shows the judgments it is about. */
import { counted } from '../../src/base/counted.ts';
import { make, onPress } from '../shared/dom.ts';
import type { Judgment } from './preferences/judgment.ts';
import { type Warning, warnings } from './preferences/warnings.ts';

/** Milliseconds without a change before warnings are looked for: they compare every judgment with every other. */
const QUIET = 300;

export class TableWarnings {
  readonly element = make('ul', 'table-warnings');
  private timer: ReturnType<typeof setTimeout> | undefined;
  private seen: readonly Judgment[] | undefined;
  private shown = '';

  constructor(private readonly look: (ids: readonly string[]) => void) {
    this.element.setAttribute('aria-label', 'Warnings about your judgments');
  }

  show(judgments: readonly Judgment[]): void {
    if (judgments === this.seen) return;
    this.seen = judgments;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.draw(warnings(judgments)), QUIET);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private draw(found: readonly Warning[]): void {
    const text = JSON.stringify(found);
    if (text === this.shown) return;
    this.shown = text;
    this.element.replaceChildren(...found.map((warning) => this.itemOf(warning)));
  }

  private itemOf({ kind, text, ids }: Warning): HTMLLIElement {
    const item = make('li', '', make('span', '', text));
    item.dataset.kind = kind;
    if (ids.length === 0) return item;
    const button = make('button', '', `Show ${counted(ids.length, 'judgment')}`);
    button.type = 'button';
    onPress(button, () => this.look(ids));
    item.append(button);
    return item;
  }
}
