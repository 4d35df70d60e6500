/**
 * Rows of the table. Texts are shown as text, whatever they hold. Roles are named, because a telephone's layout takes them from the
 * elements in some browsers.
 */
import { make, onPress } from '../shared/dom.ts';
import { type Draft, type Judgment, meaningOf, promptText } from './preferences/judgment.ts';

export interface RowActions {
  edit(judgment: Judgment): void;
  remove(judgment: Judgment): void;
  select(judgment: Judgment, selected: boolean): void;
}

export const COLUMNS = [
  'Select',
  'Prompt',
  'First draft',
  'Second draft',
  'Verdict',
  'Note and tags',
  'Actions',
];

/** Characters of a text that a row holds; the dialog has all of it. */
const SHOWN = 600;

/** A row of the judgment. */
export function rowOf(judgment: Judgment, selected: boolean, actions: RowActions): HTMLTableRowElement {
  const { prompt, drafts, verdict, edit, note, tags } = judgment;
  const name = promptText(prompt).slice(0, 60);
  const meaning = meaningOf(judgment);
  const cells = [
    [selectBox(judgment, name, selected, actions)],
    [textBox(promptText(prompt))],
    ...[0, 1].map((place) => {
      const draft = drafts[place];
      return draft ? [draftBox(draft, judgment)] : [];
    }),
    edit ? [meaning.words, textBox(edit.text, 'table-good')] : [meaning.words],
    [
      ...(note ? [textBox(note)] : []),
      ...(tags?.length ? [make('p', 'table-tags', ...tags.map((tag) => make('span', '', tag)))] : []),
    ],
    [
      button('Edit', name, () => actions.edit(judgment)),
      button('Delete', name, () => actions.remove(judgment)),
    ],
  ];
  const row = make('tr', '', ...cells.map((children, i) => cellOf(COLUMNS[i], children)));
  row.setAttribute('role', 'row');
  row.dataset.verdict = verdict;
  return row;
}

function cellOf(column: string, children: (Node | string)[]): HTMLTableCellElement {
  const cell = make('td', '', ...children);
  cell.setAttribute('role', 'cell');
  cell.dataset.column = column;
  return cell;
}

/** A draft, marked where the verdict calls it good or bad. */
function draftBox(draft: Draft, judgment: Judgment): HTMLElement {
  const { good, bad } = meaningOf(judgment);
  const marks = [
    { isIt: good(judgment).includes(draft), kind: 'table-good', words: 'Good: ' },
    { isIt: bad(judgment).includes(draft), kind: 'table-bad', words: 'Bad: ' },
  ];
  const mark = marks.find(({ isIt }) => isIt);
  const box = textBox(draft.text === '' ? '(empty)' : draft.text, mark?.kind);
  if (mark) box.prepend(make('span', 'away', mark.words));
  return box;
}

function textBox(text: string, kind = ''): HTMLElement {
  const box = make('p', `table-text ${kind}`, text.length > SHOWN ? `${text.slice(0, SHOWN)} …` : text);
  box.dir = 'auto';
  return box;
}

function selectBox(
  judgment: Judgment,
  name: string,
  selected: boolean,
  { select }: RowActions,
): HTMLInputElement {
  const box = make('input');
  box.type = 'checkbox';
  box.checked = selected;
  box.setAttribute('aria-label', `Select: ${name}`);
  box.addEventListener('change', () => select(judgment, box.checked));
  return box;
}

function button(label: string, name: string, action: () => void): HTMLButtonElement {
  const element = make('button', '', label);
  element.type = 'button';
  element.setAttribute('aria-label', `${label}: ${name}`);
  onPress(element, action);
  return element;
}
