/**
 * A story on the page: its opening, what the model wrote, the words that count marked, and the score beside it.
 */
import { make, wholeSigned } from '../shared/dom.ts';
import type { ScoredText } from './messages.ts';

/** Fills `element` with a story; `opening` comes first, quieter. */
export function showStory(element: HTMLElement, opening: string, { text, words }: ScoredText): void {
  const nodes: (Node | string)[] = [make('span', 'opening', opening)];
  let at = 0;
  for (const { start, end, rating } of words) {
    const mark = make('mark', rating > 0 ? 'glad' : 'sad', text.slice(start, end));
    mark.title = wholeSigned(rating);
    nodes.push(text.slice(at, start), mark);
    at = end;
  }
  nodes.push(text.slice(at));
  element.replaceChildren(...nodes);
}

/** Fills `element` with a score. */
export function showScore(element: HTMLElement, score: number | undefined): void {
  element.textContent = score === undefined ? '' : wholeSigned(score);
  element.dataset.feeling = score === undefined || score === 0 ? 'none' : score > 0 ? 'glad' : 'sad';
}
