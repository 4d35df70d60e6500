/** The samples of a run on the page: of each prompt its continuations, step by step. Words of a model enter as text. */
import { byId, make } from '../shared/dom.ts';
import type { Prompt } from './preferences/judgment.ts';
import type { Samples } from './samples.ts';

/** Shows the samples of the current run; hides their section where there are none yet. */
export function showSamples(samples: Samples): void {
  byId('samples', HTMLElement).hidden = samples.taken.length === 0;
  byId('samples-by-prompt', HTMLDivElement).replaceChildren(...sampleLists(samples));
}

/** A list for each prompt. */
export function sampleLists({ prompts, taken }: Samples): HTMLElement[] {
  return prompts.map((prompt, at) => {
    const items = taken.map(({ step, texts }) =>
      make(
        'li',
        '',
        make('span', 'sample-step', `Step ${step}`),
        make('span', 'sample-text', (texts[at] ?? '').trim()),
      ),
    );
    return make('section', 'samples', make('h3', '', titleOf(prompt)), make('ol', '', ...items));
  });
}

/** The text to continue, or what the user said last. */
const titleOf = (prompt: Prompt): string =>
  typeof prompt === 'string' ? prompt : (prompt.at(-1)?.content ?? '');
