/** Parts of the tab Train that hold nothing: the fields of a method, and lists of sentences. */
import { byId, make, setText } from '../shared/dom.ts';
import { type MethodName, methodOf } from './methods.ts';
import { FIELDS } from './settings.ts';

/** Shows the fields of the method alone; the others are neither checked nor read. */
export function showFields(form: HTMLFormElement, method: MethodName): void {
  const { settings, row } = methodOf(method);
  for (const name of FIELDS) {
    const field = form.elements.namedItem(name) as HTMLInputElement;
    field.disabled = !settings.includes(name);
    for (const each of [field, ...(field.labels ?? [])]) each.hidden = field.disabled;
  }
  for (const label of form.querySelectorAll<HTMLElement>('[data-rows]')) setText(label, `${row}s a step`);
}

/** A list of sentences; without any it is hidden. */
export function showLines(id: string, lines: readonly string[]): void {
  const list = byId(id, HTMLUListElement);
  list.replaceChildren(...lines.map((line) => make('li', '', line)));
  list.hidden = lines.length === 0;
}
