/**
 * The judgments as a table: search, read, change, delete, import, export, and what a person should know about them. A page of rows
 * stands in the document at a time, so that ten thousand judgments are as quick as ten.
 */
import { counted } from '../../src/base/counted.ts';
import { make, onPress, setText, setUsable } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { countJudgments, statusText } from './preferences/counts.ts';
import { isVerdict, type Judgment, VERDICTS } from './preferences/judgment.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { field, TableDialog } from './table-dialog.ts';
import { TableFiles } from './table-files.ts';
import { matching, type Query } from './table-filter.ts';
import { COLUMNS, rowOf } from './table-rows.ts';
import { TableWarnings } from './table-warnings.ts';

/** Rows in the document. */
const PAGE = 25;

/** What takes the last action back. */
interface Back {
  label: string;
  run(): void;
}

/** Puts the table into the element. It follows the store until `destroy`. */
export function mountTable(element: HTMLElement, store: PreferenceStore): { destroy(): void } {
  const table = new JudgmentTable(element, store);
  return { destroy: () => table.destroy() };
}

class JudgmentTable {
  private readonly query: Query = { text: '', verdict: '' };
  private page = 0;
  private readonly selected = new Set<string>();
  /** What the query finds, for the array that the store had then. */
  private found: readonly Judgment[] = [];
  private rows = new Map<Judgment, HTMLTableRowElement>();
  private frame = 0;
  private readonly unsubscribe: () => void;

  private readonly counts = make('p', 'table-counts');
  private readonly said = make('p', 'table-said');
  private readonly details = make('ul', 'table-details');
  private readonly back = plainButton('');
  private readonly search = make('input');
  private readonly verdict = make('select');
  private readonly body = make('tbody');
  private readonly pageBox = make('input');
  private readonly range = make('p', 'table-range');
  private readonly earlier = plainButton('Previous page');
  private readonly later = plainButton('Next page');
  private readonly selecting = plainButton('Select all');
  private readonly deleting = plainButton('Delete selected');
  private readonly everything = plainButton('Show all');
  private readonly dialog: TableDialog;
  private readonly files: TableFiles;
  private readonly warnings: TableWarnings;

  constructor(
    private readonly element: HTMLElement,
    private readonly store: PreferenceStore,
  ) {
    this.files = new TableFiles({ store, shown: () => this.found, tell: (...what) => this.tell(...what) });
    this.warnings = new TableWarnings((ids) => this.look({ text: '', verdict: '', ids: new Set(ids) }));
    element.replaceChildren(this.layout());
    this.dialog = new TableDialog(element);
    this.listen();
    this.unsubscribe = store.subscribe(() => this.schedule());
    this.draw();
  }

  destroy(): void {
    this.unsubscribe();
    cancelAnimationFrame(this.frame);
    this.warnings.stop();
    this.element.replaceChildren();
  }

  private layout(): HTMLElement {
    this.search.type = 'search';
    this.verdict.append(new Option('All verdicts', ''));
    for (const [name, { words }] of Object.entries(VERDICTS)) this.verdict.append(new Option(words, name));
    const title = make('h2', '', 'Your judgments');
    title.id = 'table-title';
    // No role of status: the page has one, the count of preferences.
    this.said.setAttribute('aria-live', 'polite');
    const section = make(
      'section',
      'card table-card',
      make('div', 'table-head', title, this.counts),
      this.warnings.element,
      make('div', 'table-bar', field('Search', this.search), field('Verdict', this.verdict), this.everything),
      this.files.element,
      make('div', 'table-told', this.said, this.back),
      this.details,
      this.tableElement(),
      make('div', 'table-bar', this.earlier, this.range, this.later, this.selecting, this.deleting),
    );
    section.setAttribute('aria-labelledby', title.id);
    return section;
  }

  private tableElement(): HTMLTableElement {
    this.pageBox.type = 'checkbox';
    this.pageBox.setAttribute('aria-label', 'Select all rows of this page');
    const heads = COLUMNS.map((name, i) => {
      const head = i === 0 ? make('th', '', this.pageBox) : make('th', '', name);
      head.scope = 'col';
      head.setAttribute('role', 'columnheader');
      return head;
    });
    const row = make('tr', '', ...heads);
    row.setAttribute('role', 'row');
    const group = make('thead', '', row);
    for (const each of [group, this.body]) each.setAttribute('role', 'rowgroup');
    const table = make(
      'table',
      'table',
      make('caption', 'away', 'Judgments, newest first'),
      group,
      this.body,
    );
    table.setAttribute('role', 'table');
    return table;
  }

  private listen(): void {
    this.search.addEventListener('input', () => this.look({ ...this.query, text: this.search.value }));
    this.verdict.addEventListener('change', () => {
      const { value } = this.verdict;
      this.look({ ...this.query, verdict: isVerdict(value) ? value : '' });
    });
    onPress(this.everything, () => this.look({ text: '', verdict: '' }));
    onPress(this.earlier, () => this.turnTo(this.page - 1));
    onPress(this.later, () => this.turnTo(this.page + 1));
    onPress(this.deleting, () => void this.remove([...this.selected]));
    onPress(this.selecting, () => this.markAll(this.found, !this.isAllSelected()));
    this.pageBox.addEventListener('change', () => this.markAll(this.onPage(), this.pageBox.checked));
  }

  /** Shows what the query finds, from its first page on. */
  private look({ text, verdict, ids }: Query): void {
    Object.assign(this.query, { text, verdict, ids });
    if (this.search.value !== text) this.search.value = text;
    this.verdict.value = verdict;
    this.turnTo(0);
  }

  private turnTo(page: number): void {
    this.page = page;
    this.draw();
  }

  /** Many changes of a moment are drawn once. */
  private schedule(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    const all = this.store.all();
    this.found = matching(all, this.query);
    this.page = Math.max(0, Math.min(this.page, Math.ceil(this.found.length / PAGE) - 1));
    const ids = new Set(all.map(({ id }) => id));
    for (const id of this.selected) if (!ids.has(id)) this.selected.delete(id);
    this.drawRows();
    this.drawControls(all);
    this.warnings.show(all);
  }

  private drawRows(): void {
    const page = this.onPage();
    const rows = new Map(
      page.map((judgment) => [judgment, this.rows.get(judgment) ?? this.newRow(judgment)]),
    );
    this.rows = rows;
    const elements = [...rows.values()];
    const isShown =
      elements.length === this.body.rows.length && elements.every((row, i) => row === this.body.rows[i]);
    if (isShown) return;
    const focused = document.activeElement;
    this.body.replaceChildren(...elements);
    // A row that stays keeps the keyboard's focus.
    if (focused instanceof HTMLElement && this.body.contains(focused)) focused.focus();
  }

  private newRow(judgment: Judgment): HTMLTableRowElement {
    return rowOf(judgment, this.selected.has(judgment.id), {
      edit: (each) => void this.edit(each),
      remove: ({ id }) => void this.remove([id]),
      select: ({ id }, isSelected) => {
        this.mark(id, isSelected);
        this.drawControls(this.store.all());
      },
    });
  }

  private drawControls(all: readonly Judgment[]): void {
    const { found, selected } = this;
    const first = this.page * PAGE;
    const page = this.onPage();
    setText(this.counts, statusText(countJudgments(all)));
    const range = `${first + 1}–${first + page.length} of ${found.length}`;
    setText(
      this.range,
      found.length === 0 ? (all.length === 0 ? 'No judgments yet.' : 'Nothing is found.') : range,
    );
    setUsable(this.earlier, this.page > 0);
    setUsable(this.later, first + PAGE < found.length);
    setText(this.deleting, selected.size === 0 ? 'Delete selected' : `Delete ${selected.size} selected`);
    setUsable(this.deleting, selected.size > 0);
    setText(this.selecting, this.isAllSelected() ? 'Select none' : `Select all ${found.length} found`);
    setUsable(this.selecting, found.length > 0);
    this.everything.hidden = found.length === all.length;
    this.pageBox.checked = page.length > 0 && page.every(({ id }) => selected.has(id));
    this.files.show(found.length, all.length);
  }

  private onPage(): readonly Judgment[] {
    return this.found.slice(this.page * PAGE, (this.page + 1) * PAGE);
  }

  private mark(id: string, isSelected: boolean): void {
    if (isSelected) this.selected.add(id);
    else this.selected.delete(id);
  }

  private markAll(judgments: readonly Judgment[], isSelected: boolean): void {
    for (const { id } of judgments) this.mark(id, isSelected);
    this.rows.clear();
    this.draw();
  }

  private isAllSelected(): boolean {
    return this.found.length > 0 && this.found.every(({ id }) => this.selected.has(id));
  }

  private async edit(judgment: Judgment): Promise<void> {
    const changed = await this.dialog.ask(judgment);
    if (!changed) return;
    try {
      await this.store.edit(judgment.id, changed);
      this.tell('The judgment is changed.');
    } catch (error) {
      this.tell('', [messageOf(error)]);
    }
  }

  private async remove(ids: readonly string[]): Promise<void> {
    const wanted = new Set(ids);
    const gone = this.store.all().filter(({ id }) => wanted.has(id));
    const place = [...this.body.rows].findIndex((row) => row.contains(document.activeElement));
    const deleted = this.store.delete(ids);
    this.draw();
    this.focusRow(place);
    this.tell(`${counted(gone.length, 'judgment')} deleted.`, [], {
      label: 'Undo delete',
      run: () => void this.store.add(gone),
    });
    await deleted;
  }

  /** The keyboard focus moves to the place of the deleted row. */
  private focusRow(place: number): void {
    if (place < 0) return;
    const row = this.body.rows[Math.min(place, this.body.rows.length - 1)];
    const target = row?.querySelector<HTMLElement>('td:last-child button:last-child') ?? this.search;
    target.focus();
  }

  private tell(text: string, details: readonly string[] = [], back?: Back): void {
    setText(this.said, text);
    this.details.replaceChildren(...details.map((line) => make('li', '', line)));
    this.back.hidden = back === undefined;
    setText(this.back, back?.label ?? '');
    this.back.onclick = () => {
      back?.run();
      this.tell('Taken back.');
      this.search.focus({ preventScroll: true });
    };
  }
}

function plainButton(label: string): HTMLButtonElement {
  const button = make('button', '', label);
  button.type = 'button';
  button.hidden = label === '';
  return button;
}
