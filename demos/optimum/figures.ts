/**
 * Formats numbers for the page: rounded as text, exact in the `value` of their element.
 */
import { make } from '../shared/dom.ts';

/** With a minus sign (−), and none before a zero. */
export function rounded(value: number, digits = 4): string {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace('-', '') : text).replace('-', '−');
}

export function figure(value: number, digits = 4): HTMLDataElement {
  const element = make('data', '', rounded(value, digits));
  element.value = String(value);
  return element;
}
