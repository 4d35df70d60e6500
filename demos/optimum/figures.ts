/**
 * Numbers as the page prints them: rounded for the eye, whole in the `value` of their element.
 */
import { make } from '../shared/dom.ts';

/** With a true minus, and none before a zero. */
export function rounded(value: number, digits = 4): string {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace('-', '') : text).replace('-', '−');
}

export function figure(value: number, digits = 4): HTMLDataElement {
  const element = make('data', '', rounded(value, digits));
  element.value = String(value);
  return element;
}
