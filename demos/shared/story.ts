/**
 * A story on the page: its opening, the generated text with its rated words marked, and its score.
 */
import type { RatedWord } from 'webalign/rollouts';
import { make, wholeSigned } from './dom.ts';

export interface MarkedText {
  text: string;
  /** The rated words. */
  words: readonly RatedWord[];
}

/** The text with its rated words marked. */
export function marked({ text, words }: MarkedText): (Node | string)[] {
  const nodes: (Node | string)[] = [];
  let at = 0;
  for (const { start, end, rating } of words) {
    const mark = make('mark', rating > 0 ? 'glad' : 'sad', text.slice(start, end));
    mark.title = wholeSigned(rating);
    nodes.push(text.slice(at, start), mark);
    at = end;
  }
  nodes.push(text.slice(at));
  return nodes;
}

/** Fills `element` with a story; the opening comes first, in a lighter color. */
export function showStory(element: HTMLElement, opening: string, story: MarkedText): void {
  element.replaceChildren(make('span', 'opening', opening), ...marked(story));
}

/** Fills `element` with a score. */
export function showScore(element: HTMLElement, score: number | undefined): void {
  element.textContent = score === undefined ? '' : wholeSigned(score);
  element.dataset.feeling = score === undefined || score === 0 ? 'none' : score > 0 ? 'glad' : 'sad';
}
