/** Import and export beside the table. A file is read and made in the tab; nothing is sent. */
import { counted } from '../../src/base/counted.ts';
import { make, onPress } from '../shared/dom.ts';
import { downloadFile } from '../shared/download.ts';
import { messageOf } from '../shared/message-of.ts';
import { FORMS } from './preferences/file-columns.ts';
import { exportFiles, type FileType, type Form, importFile, merge, mergeText } from './preferences/files.ts';
import type { Judgment } from './preferences/judgment.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { field } from './table-dialog.ts';

export interface FilesHost {
  store: PreferenceStore;
  /** What the table shows at the moment. */
  shown(): readonly Judgment[];
  /** Tells what came of it, with what takes it back. */
  tell(text: string, details?: readonly string[], back?: { label: string; run(): void }): void;
}

const TYPES: Readonly<Record<FileType, string>> = { jsonl: 'JSON Lines', csv: 'CSV', parquet: 'Parquet' };
const READS = '.jsonl,.json,.csv,.tsv,.parquet';

export class TableFiles {
  readonly element: HTMLElement;
  private readonly form = make('select');
  private readonly type = make('select');
  private readonly exporting = make('button', '', 'Export file');

  constructor(private readonly host: FilesHost) {
    for (const [name, { words }] of Object.entries(FORMS)) this.form.append(new Option(words, name));
    for (const [name, words] of Object.entries(TYPES)) this.type.append(new Option(words, name));
    this.exporting.type = 'button';
    onPress(this.exporting, () => void this.export());
    this.element = make(
      'div',
      'table-bar',
      this.importing(),
      field('Export', this.form),
      field('File type', this.type),
      this.exporting,
    );
  }

  /** Names how many judgments would be exported. */
  show(shown: number, all: number): void {
    this.exporting.textContent = shown === all ? 'Export file' : `Export the ${shown} shown`;
    this.exporting.setAttribute('aria-disabled', String(shown === 0));
  }

  private importing(): HTMLElement {
    const input = make('input');
    Object.assign(input, { type: 'file', accept: READS, multiple: true, hidden: true });
    input.setAttribute('aria-label', 'Files of judgments');
    input.addEventListener('change', async () => {
      const files = [...(input.files ?? [])];
      input.value = '';
      await this.import(files);
    });
    const button = make('button', '', 'Import judgments');
    button.type = 'button';
    onPress(button, () => input.click());
    return make('div', '', button, input);
  }

  private async import(files: readonly File[]): Promise<void> {
    const { store, tell } = this.host;
    const said: string[] = [];
    const problems: string[] = [];
    const ids: string[] = [];
    for (const file of files) {
      try {
        const read = await importFile(file);
        const merged = merge(store.all(), read.judgments);
        ids.push(...merged.added.map(({ id }) => id));
        await store.add(merged.added);
        said.push(`${file.name}: ${mergeText(merged)}`);
        problems.push(...read.problems);
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    const back = ids.length > 0 ? { label: 'Undo import', run: () => void store.delete(ids) } : undefined;
    tell(said.join(' '), problems, back);
  }

  private async export(): Promise<void> {
    const form = this.form.value as Form;
    const judgments = this.host.shown();
    const files = await exportFiles(judgments, { form, type: this.type.value as FileType });
    for (const { name, bytes, type } of files) downloadFile(new Blob([bytes], { type }), name);
    const { rows } = FORMS[form];
    const without = judgments.filter((judgment) => rows([judgment]).length === 0).length;
    const names = files.map(({ name }) => name).join(' and ');
    const hasChats = form !== 'all' && judgments.some(({ prompt }) => typeof prompt !== 'string');
    const details = [
      without > 0 && `${counted(without, 'judgment makes', 'judgments make')} no row in this form.`,
      this.type.value === 'csv' &&
        hasChats &&
        'CSV holds chats as JSON text, which TRL does not read as messages: take JSON Lines or Parquet for chats.',
    ];
    const said = files.length > 0 ? `Downloaded ${names}.` : 'Nothing to export in this form.';
    this.host.tell(
      said,
      details.filter((line) => line !== false),
    );
  }
}
