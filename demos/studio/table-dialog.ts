/** The dialog in which a judgment is read as a whole and changed: verdict, text of an edit, note, tags. */
import { make } from '../shared/dom.ts';
import {
  type Edit,
  isVerdict,
  type Judgment,
  parseTags,
  promptText,
  VERDICTS,
  type Verdict,
} from './preferences/judgment.ts';

export type Changed = Pick<Judgment, 'verdict' | 'edit' | 'note' | 'tags'>;

export class TableDialog {
  private readonly dialog = make('dialog', 'table-dialog');
  private readonly verdict = make('select');
  private readonly place = make('select');
  private readonly text = make('textarea');
  private readonly note = make('textarea');
  private readonly tags = make('input');
  private readonly edited = make('div', 'table-fields');

  constructor(parent: HTMLElement) {
    this.dialog.setAttribute('aria-label', 'Judgment');
    this.place.append(new Option('First draft', '0'), new Option('Second draft', '1'));
    this.text.rows = 6;
    this.note.rows = 2;
    this.edited.append(field('Edited draft', this.place), field('Text in its place', this.text));
    this.verdict.addEventListener('change', () => this.showEdit());
    parent.append(this.dialog);
  }

  /** Shows the judgment; resolves with what a person saved, undefined where they did not. */
  ask(judgment: Judgment): Promise<Changed | undefined> {
    this.fill(judgment);
    const form = make('form', 'table-fields', ...this.fields(judgment));
    let isSaved = false;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      isSaved = true;
      this.dialog.close();
    });
    this.dialog.replaceChildren(form);
    return new Promise((resolve) => {
      this.dialog.onclose = () => {
        this.dialog.replaceChildren();
        resolve(isSaved ? this.changed() : undefined);
      };
      this.dialog.showModal();
      this.verdict.focus();
    });
  }

  private fill({ drafts, verdict, edit, note = '', tags = [] }: Judgment): void {
    const possible = Object.entries(VERDICTS).filter(([, meaning]) => meaning.drafts === drafts.length);
    this.verdict.replaceChildren(...possible.map(([name, { words }]) => new Option(words, name)));
    this.verdict.value = verdict;
    this.place.value = String(edit?.draft ?? 0);
    this.text.value = edit?.text ?? drafts[0]?.text ?? '';
    this.note.value = note;
    this.tags.value = tags.join(', ');
    this.showEdit();
  }

  private fields({ prompt, drafts }: Judgment): HTMLElement[] {
    const names = drafts.length === 1 ? ['Draft'] : ['First draft', 'Second draft'];
    const whole = [
      shown('Prompt', promptText(prompt)),
      ...drafts.map(({ text }, i) => shown(names[i], text)),
    ];
    const close = make('button', '', 'Close without saving');
    close.type = 'button';
    close.addEventListener('click', () => this.dialog.close());
    return [
      ...whole,
      field('Verdict', this.verdict),
      this.edited,
      field('Note', this.note),
      field('Tags, separated by commas', this.tags),
      make('div', 'table-buttons', close, make('button', 'primary', 'Save changes')),
    ];
  }

  private showEdit(): void {
    const isEdit = this.verdict.value === ('edit' satisfies Verdict);
    this.edited.hidden = !isEdit;
    this.text.required = isEdit;
  }

  private changed(): Changed {
    const { value } = this.verdict;
    const verdict = isVerdict(value) ? value : 'tie';
    const edit: Edit = { draft: this.place.value === '1' ? 1 : 0, text: this.text.value, ended: true };
    const note = this.note.value.trim();
    const tags = parseTags(this.tags.value);
    return {
      verdict,
      edit: verdict === 'edit' ? edit : undefined,
      note: note === '' ? undefined : note,
      tags: tags.length === 0 ? undefined : tags,
    };
  }
}

/** A control with its label above it. */
export function field(label: string, control: HTMLElement): HTMLLabelElement {
  return make('label', 'table-field', make('span', '', label), control);
}

function shown(label: string, text: string): HTMLElement {
  const box = make('p', 'table-whole', text === '' ? '(empty)' : text);
  box.dir = 'auto';
  // It scrolls, so the keyboard must reach it.
  box.tabIndex = 0;
  return make('section', 'table-field', make('h3', '', label), box);
}
