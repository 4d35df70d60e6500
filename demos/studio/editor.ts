/** The form in which a person makes one of the drafts better. */
import { byId, onPress } from '../shared/dom.ts';
import type { Draft, Edit } from './preferences/judgment.ts';

export class Editor {
  private readonly form = byId('editor', HTMLFormElement);
  private readonly text = byId('edited-text', HTMLTextAreaElement);
  private drafts: readonly Draft[] = [];

  /** `onSave` gets an edit that differs from its draft; `onClose` hears that the form is gone, either way. */
  constructor(
    private readonly onSave: (edit: Edit) => void,
    private readonly onClose: () => void,
  ) {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.save();
    });
    this.form.addEventListener('change', (event) => {
      if ((event.target as HTMLElement).matches('[name=edited]')) this.fill();
    });
    this.form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
      else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.save();
    });
    onPress(byId('edit-cancel', HTMLButtonElement), () => this.close());
  }

  get isOpen(): boolean {
    return !this.form.hidden;
  }

  open(drafts: readonly Draft[], place: 0 | 1): void {
    this.drafts = drafts;
    this.radios().value = String(place);
    this.form.hidden = false;
    this.fill();
    this.text.focus();
  }

  close(): void {
    if (!this.isOpen) return;
    this.form.hidden = true;
    this.onClose();
  }

  private save(): void {
    const draft = this.place();
    const text = this.text.value;
    const other = this.drafts[1 - draft]?.text;
    const wrong =
      text === ''
        ? 'Write something first.'
        : text === other
          ? 'This is the other draft, word for word.'
          : '';
    this.text.setCustomValidity(wrong);
    if (!this.text.reportValidity()) return;
    this.close();
    this.onSave({ draft, text, ended: true });
  }

  private fill(): void {
    this.text.setCustomValidity('');
    this.text.value = this.drafts[this.place()]?.text ?? '';
  }

  private place(): 0 | 1 {
    return this.radios().value === '1' ? 1 : 0;
  }

  private radios(): RadioNodeList {
    return this.form.elements.namedItem('edited') as RadioNodeList;
  }
}
