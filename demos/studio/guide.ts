/** The guided first minute: ten picks, a run, a visible effect. It goes away when all of it was done once. */
import { byId, setText } from '../shared/dom.ts';
import type { Phase } from './messages.ts';
import type { PreferenceStore } from './preferences/store.ts';

/** Picks that show an effect on the storyteller. */
const PICKS = 10;

/** What to do next, by where the run is. */
const NEXT: Readonly<Partial<Record<Phase, string>>> = {
  reference: 'The model learns from your picks now. Its steps are on the tab Train.',
  optimum: 'The model writes to held-out prompts before it learns. Its steps are on the tab Train.',
  picking:
    'The model learns as you pick. After every few picks it takes a step, and the updated model writes the next drafts.',
  training: 'The model learns from your picks now. Drafts that you see here already come from it.',
  paused: 'The run is paused. Resume it on the tab Train.',
  kept: 'A run of an earlier visit waits on the tab Train. Resume it there.',
  done: 'Trained. The trained model writes the drafts below: compare it blind with the model before on the tab Compare, or export it on the tab Keep.',
};

export class Guide {
  private phase: Phase = 'idle';

  constructor(private readonly store: PreferenceStore) {
    store.subscribe(() => this.draw());
    this.draw();
  }

  enter(phase: Phase): void {
    this.phase = phase;
    this.draw();
  }

  private draw(): void {
    const { preferences } = this.store.state().kept;
    const bar = byId('guide-progress', HTMLProgressElement);
    bar.value = Math.min(PICKS, preferences);
    bar.hidden = preferences >= PICKS;
    setText(byId('guide-text', HTMLElement), NEXT[this.phase] ?? guidance(preferences));
  }
}

function guidance(preferences: number): string {
  if (preferences === 0)
    return `Read the two drafts and pick the better one: press 1 or 2, or the buttons. Use one criterion, such as happy stories. ${PICKS} picks have a visible effect.`;
  if (preferences < PICKS) return `${PICKS - preferences} more, and training has a visible effect.`;
  return 'That is enough for a visible effect: press Train on the tab Train. More picks make it stronger.';
}
